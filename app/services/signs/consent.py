"""What people agree to who give recordings for training: the text, in the languages of the page, and its version."""

from __future__ import annotations

#: Changes with every change of meaning. Stored with each consent; sets given by an earlier text stay given.
VERSION = "1"

#: Language -> heading -> paragraph.
TEXT: dict[str, dict[str, str]] = {
    "en": {
        "What you give": "The recordings of this set, and those that you add to it, for training recognisers of signs. "
        "You are the person in all of them.",
        "What is kept": "Where body and hands were in each moment, as points, and what each sign is called, under a "
        "made-up name. Never pictures, sound, your name or your address. People who know you well might still "
        "recognise the way you sign.",
        "Who can read it": "The people who run this service. They may train recognisers with it and pass these on, but "
        "not the recordings.",
        "How to take it back": "Here, at any time: the recordings leave the corpus at once. Deleting a recording, the "
        "set or your account does the same. Recognisers that were trained before stay as they are.",
    },
    "es": {
        "Qué da": "Las grabaciones de este conjunto, y las que le añada, para entrenar reconocedores de signos. Usted "
        "es la persona que aparece en todas ellas.",
        "Qué se guarda": "Dónde estaban el cuerpo y las manos en cada momento, como puntos, y cómo se llama cada "
        "signo, con un nombre inventado. Nunca imágenes, sonido, su nombre ni su dirección. Quien le conozca bien "
        "quizá reconozca su manera de signar.",
        "Quién puede leerlo": "Las personas que llevan este servicio. Pueden entrenar reconocedores con ello y "
        "pasarlos a otros, pero no las grabaciones.",
        "Cómo retirarlo": "Aquí, en cualquier momento: las grabaciones salen del corpus enseguida. Eliminar una "
        "grabación, el conjunto o su cuenta hace lo mismo. Los reconocedores entrenados antes quedan como están.",
    },
}
