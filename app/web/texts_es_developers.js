// The texts of the page for developers in Spanish, by their English.

export const developing = {
  "Developers – Glossline": "Desarrollo – Glossline", "Skip to the code": "Ir al código",
  "Captions in your own program": "Subtítulos en su propio programa",
  "A few lines, ready to run against this service.": "Unas pocas líneas, listas para usar con este servicio.",
  ": code for JavaScript, Python and curl, with the address of this service.": ": código para JavaScript, Python y curl, con la dirección de este servicio.",
  "Code": "Código", "What to caption": "Qué subtitular", "Programming language": "Lenguaje de programación",
  "A video file": "Un vídeo", "A camera, live": "Una cámara, en directo",
  "In a page, with the file that somebody chose. Pages of other sites must be listed in the setting CORS_ORIGINS.": "En una página, con el archivo que alguien elige. Las páginas de otros sitios deben estar en el ajuste CORS_ORIGINS.",
  "Prints the sentence; the answer also has the signs and their times.": "Escribe la frase; la respuesta tiene además los signos y sus tiempos.",
  "Prints the answer as JSON, then saves subtitles.": "Escribe la respuesta como JSON y después guarda los subtítulos.",
  "A whole page. Body and hands are found on the device, where it can. Pages of other sites must be listed in the setting CORS_ORIGINS.": "Una página entera. El cuerpo y las manos se detectan en el dispositivo, si puede. Las páginas de otros sitios deben estar en el ajuste CORS_ORIGINS.",
  "Sends pictures as they come, and prints each sentence as it ends.": "Envía imágenes según llegan y escribe cada frase cuando termina.",
  "Captions of somebody else's live session, as they come.": "Los subtítulos de una sesión en directo de otra persona, según llegan.",
  "Address and key": "Dirección y clave", "Address": "Dirección", "Key": "Clave",
  "Not asked for here.": "Aquí no hace falta.",
  "Asked for here. It begins with gl_ and is shown once, when you make it.": "Aquí hace falta. Empieza por gl_ y se muestra una sola vez, al crearla.",
  "The code reads it from the environment:": "El código la lee del entorno:", "Make a key": "Crear una clave",
  "Everything else": "Todo lo demás", "Try every route in the browser": "Probar cada ruta en el navegador",
  "Asked and answered once: clips, accounts, signs, training.": "Preguntas con una respuesta: vídeos, cuentas, signos, entrenamiento.",
  "Live: WebSocket, Socket.IO, followers.": "En directo: WebSocket, Socket.IO, seguidores.",
  "The client for pages, without dependencies.": "El cliente para páginas, sin dependencias.",
};
