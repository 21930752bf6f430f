// The texts of teaching signs in Spanish, by their English.

export const teaching = {
  "Teach": "Enseñar", "Teach a sign": "Enseñar un signo", "Teach a sign – Glossline": "Enseñar un signo – Glossline", "Skip to teaching": "Ir a enseñar",
  "Show it three times, and captions know it: a name, a sign of your own, or how you sign PLEASE. Any sign language.": "Muéstrelo tres veces y los subtítulos lo conocen: un nombre, un signo propio, o cómo signa usted PLEASE. En cualquier lengua de signos.",
  "Teaching needs an account here.": "Aquí hace falta una cuenta para enseñar.",
  "Signs cannot be taught here.": "Aquí no se pueden enseñar signos.", "This service has no database to keep them in.": "Este servicio no tiene base de datos donde guardarlos.",
  "Somebody shares signs with you": "Alguien comparte signos con usted", "Caption with them": "Subtitular con ellos", "Copy them into my sets": "Copiarlos a mis conjuntos",
  "They are read best from the person who taught them.": "Se leen mejor de la persona que los enseñó.",
  "They were taught to another recogniser and cannot be read here.": "Se enseñaron a otro reconocedor y aquí no se pueden leer.",
  "“{name}” is among your sets now.": "«{name}» está ahora entre sus conjuntos.",

  // The form
  "New sign": "Signo nuevo", "What it is called": "Cómo se llama",
  "As captions show it. One that is known, such as PLEASE, is then also read the way you sign it.": "Como aparece en los subtítulos. Uno ya conocido, como PLEASE, se lee entonces también como usted lo signa.",
  "Goes into": "Va a", "A new set": "Un conjunto nuevo", "New set": "Conjunto nuevo", "The new set": "El conjunto nuevo", "My signs": "Mis signos", "Sign language": "Lengua de signos",
  "Sentences are made of American Sign Language alone; other signs are captioned in the order signed.": "Solo con la lengua de signos americana se forman frases; otros signos se subtitulan en el orden en que se signan.",
  "Also keep where my body and hands were": "Guardar también dónde estaban mi cuerpo y mis manos",
  "As points, so that the set outlives this recogniser. Otherwise a row of numbers for each recording is kept. Never pictures; you can take this back.": "Como puntos, para que el conjunto sobreviva a este reconocedor. Si no, de cada grabación se guarda una fila de números. Nunca imágenes; puede retirar este permiso.",
  "Show it to the camera": "Mostrarlo a la cámara", "Use videos instead": "Usar vídeos",
  "Three times, hands down before and after. It takes less than a minute.": "Tres veces, con las manos abajo antes y después. Tarda menos de un minuto.",

  // Recording
  "Your camera": "Su cámara", "Recordings": "Grabaciones", "Done signing": "He terminado", "Record it again": "Grabarlo otra vez", "Keep it": "Conservarla",
  "It is one sign": "Es un solo signo", "Recording {n}: done": "Grabación {n}: hecha",
  "Looking for your hands …": "Buscando sus manos …", "Hands are checked after each recording": "Las manos se comprueban tras cada grabación",
  "Move back: both shoulders should be in sight": "Aléjese: deben verse los dos hombros", "Both hands found": "Las dos manos a la vista",
  "One hand found": "Una mano a la vista", "No hand in sight": "Ninguna mano a la vista", "Hands down, shoulders in sight": "Manos abajo, hombros a la vista",
  "Get ready: hands down": "Prepárese: manos abajo", "Hands down": "Manos abajo", "Hands down. {n}": "Manos abajo. {n}",
  "Lower your hands to begin": "Baje las manos para empezar", "Sign now": "Signe ahora", "Reading it …": "Leyéndolo …", "Good. Again.": "Bien. Otra vez.", "Good. Once more.": "Bien. Una vez más.",
  "No hand was in sight. Sit so that the camera sees your shoulders and both hands, with light from the front.": "No se vio ninguna mano. Siéntese de modo que la cámara vea sus hombros y las dos manos, con luz de frente.",
  "That was too short. Sign at your usual pace, with your hands in the picture all the time.": "Ha sido demasiado corto. Signe a su ritmo, con las manos siempre en la imagen.",
  "That was too long. Show the sign alone, once.": "Ha sido demasiado largo. Muestre solo el signo, una vez.",
  "The recording begins or ends with a hand up, so a part of the sign may be missing. Start with your hands down, and lower them at the end.": "La grabación empieza o acaba con una mano en alto y puede faltar parte del signo. Empiece con las manos abajo y bájelas al final.",
  "This one looks different from the others. If it was not the same sign, record it again.": "Esta parece distinta de las otras. Si no era el mismo signo, grábelo otra vez.",
  "These look like three different signs. Show the same sign each time, in the same way.": "Parecen tres signos distintos. Muestre cada vez el mismo signo, de la misma manera.",
  "This is the same recording as one before. Sign it again: only other recordings help.": "Es la misma grabación que una anterior. Sígnelo otra vez: solo otras grabaciones ayudan.",
  "The camera has stopped": "La cámara se ha parado", "Connect it and start again.": "Conéctela y empiece de nuevo.",
  "What was recorded is kept. Connect it and go on with “One more recording”, or start again.": "Lo grabado se conserva. Conéctela y siga con «Otra grabación», o empiece de nuevo.",
  "The recording failed": "La grabación ha fallado", "This browser cannot record video. Use videos instead.": "Este navegador no puede grabar vídeo. Use vídeos.",
  "Connect one and try again, or use videos instead.": "Conecte una e inténtelo otra vez, o use vídeos.",
  "Check the connection and try again.": "Compruebe la conexión e inténtelo otra vez.",

  // Taught
  "Taught with {n} recordings.": "Enseñado con {n} grabaciones.",
  "I would now read it in {right} of {of} of your recordings, each read by the others.": "Ahora lo leería en {right} de {of} de sus grabaciones, cada una leída con las otras.",
  "The rest were taken for {signs}.": "Las demás se tomaron por {signs}.",
  "It is the only sign of “{set}” so far, so there is nothing to mistake it for. Teach it more signs.": "Es el único signo de «{set}» hasta ahora, así que no hay con qué confundirlo. Enséñele más signos.",
  "It looks much like another sign of this set, so they may be confused. More recordings of each tell them apart.": "Se parece mucho a otro signo de este conjunto y pueden confundirse. Más grabaciones de cada uno los distinguen.",
  "Caption with it now": "Subtitular con él ahora", "Teach another sign": "Enseñar otro signo", "One more recording": "Otra grabación",

  // Sets
  "Your signs": "Sus signos",
  "Without an account, sets belong to this machine: everyone who can open this page can use, change and delete them.": "Sin cuenta, los conjuntos son de esta máquina: quien pueda abrir esta página puede usarlos, cambiarlos y borrarlos.",
  "No set yet. The first sign that you teach makes one.": "Aún no hay conjuntos. El primer signo que enseñe crea uno.",
  "Import a file": "Importar un archivo", "“{name}” is imported.": "«{name}» se ha importado.", "Rename": "Cambiar el nombre", "Rename {gloss}": "Cambiar el nombre de {gloss}", "Rename {name}": "Cambiar el nombre de {name}",
  "Rename the set {name}": "Cambiar el nombre del conjunto {name}", "Delete": "Eliminar", "Delete {gloss}": "Eliminar {gloss}", "Delete {gloss}?": "¿Eliminar {gloss}?", "Delete {name}?": "¿Eliminar {name}?", "Delete the set {name}": "Eliminar el conjunto {name}",
  "With its recordings, at once and for good.": "Con sus grabaciones, al momento y para siempre.", "With everything in it, at once and for good.": "Con todo lo que contiene, al momento y para siempre.",
  "Delete recording {n} ({s} s)": "Eliminar la grabación {n} ({s} s)", "Delete recording {n} of {gloss}": "Eliminar la grabación {n} de {gloss}",
  "One more recording of {gloss}": "Otra grabación de {gloss}", "1 recording": "1 grabación", "{n} recordings": "{n} grabaciones", "{right} of {of} read back": "{right} de {of} leídas",
  "Save as a file": "Guardar como archivo", "Save with body points": "Guardar con los puntos del cuerpo", "Share by link": "Compartir con un enlace", "New link": "Enlace nuevo", "End sharing": "Dejar de compartir", "Link": "Enlace", "shared": "compartido",
  "Who has it reads these signs and may copy them, until you end it.": "Quien lo tenga lee estos signos y puede copiarlos, hasta que lo anule.",
  "The link is void. Copies that others made stay theirs.": "El enlace ya no vale. Las copias que otros hicieron siguen siendo suyas.",
  "Keep where my body and hands were, as points": "Guardar dónde estaban mi cuerpo y mis manos, como puntos", "Forget the points?": "¿Olvidar los puntos?", "Forget them": "Olvidarlos",
  "After the recogniser is replaced, this set then has to be taught again.": "Si se cambia el reconocedor, habrá que enseñar de nuevo este conjunto.",
  "These signs were taught to another recogniser and cannot be read now. Record them again.": "Estos signos se enseñaron a otro reconocedor y ahora no se pueden leer. Grábelos otra vez.",
  "Captions read the sets that are ticked.": "Los subtítulos leen los conjuntos marcados.", "Signs, name, link, file": "Signos, nombre, enlace, archivo", "Recordings of {gloss}": "Grabaciones de {gloss}", "{name}: signs, name, link, file": "{name}: signos, nombre, enlace, archivo", "Set {name}": "Conjunto {name}", "Read {name} in captions": "Leer {name} en los subtítulos",

  // On the caption page
  "Taught signs, read beside them": "Signos enseñados, leídos junto a ellos", "Only the taught signs": "Solo los signos enseñados",
  "{name}, shared with you": "{name}, compartido con usted", "Is a sign missing, or do you sign it in another way?": "¿Falta un signo, o lo signa de otra manera?", "Teach it": "Enséñelo",

  "This recogniser reads taught signs only alone: choose “Only the taught signs” in the settings.": "Este reconocedor lee los signos enseñados solo sin otros: elija «Solo los signos enseñados» en los ajustes.",
  "A set of taught signs is not shared any more. Take its tick away in the settings.": "Un conjunto de signos enseñados ya no se comparte. Quite su marca en los ajustes.",
  "A set of taught signs cannot be read: it has no recordings, or was taught to another recogniser. Take its tick away in the settings, or teach its signs again.": "Un conjunto de signos enseñados no se puede leer: no tiene grabaciones o se enseñó a otro reconocedor. Quite su marca en los ajustes o enséñelos otra vez.",

  // Sign languages
  "American Sign Language (ASL)": "Lengua de signos americana (ASL)", "Argentine Sign Language (LSA)": "Lengua de señas argentina (LSA)", "Australian Sign Language (Auslan)": "Lengua de signos australiana (Auslan)",
  "Brazilian Sign Language (Libras)": "Lengua de signos brasileña (Libras)", "British Sign Language (BSL)": "Lengua de signos británica (BSL)", "Chinese Sign Language (CSL)": "Lengua de signos china (CSL)",
  "Sign Language of the Netherlands (NGT)": "Lengua de signos neerlandesa (NGT)", "French Sign Language (LSF)": "Lengua de signos francesa (LSF)", "German Sign Language (DGS)": "Lengua de signos alemana (DGS)",
  "Indo-Pakistani Sign Language": "Lengua de signos indopakistaní", "Italian Sign Language (LIS)": "Lengua de signos italiana (LIS)", "Japanese Sign Language (JSL)": "Lengua de signos japonesa (JSL)",
  "Korean Sign Language (KSL)": "Lengua de signos coreana (KSL)", "Mexican Sign Language (LSM)": "Lengua de señas mexicana (LSM)", "Polish Sign Language (PJM)": "Lengua de signos polaca (PJM)",
  "Portuguese Sign Language (LGP)": "Lengua de signos portuguesa (LGP)", "Russian Sign Language": "Lengua de signos rusa", "Spanish Sign Language (LSE)": "Lengua de signos española (LSE)",
  "Swedish Sign Language (STS)": "Lengua de signos sueca (STS)", "Turkish Sign Language (TİD)": "Lengua de signos turca (TİD)", "Another one, or signs of one's own": "Otra, o signos propios",
};
