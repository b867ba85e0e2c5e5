// Display of the pictures that the server draws. The page reports each one, so that the server draws no more than it can show.
(() => {
  const topic = "nnviz3d.picture";
  const session = window.trame.client.getConnection().getSession();
  const options = { premultiplyAlpha: "none", colorSpaceConversion: "none" };
  let decoded = null; // The newest picture that waits for the browser's next frame.
  let newest = 0;
  let shown = null;

  async function receive(picture) {
    const blob = new Blob([picture.content], { type: picture.media });
    const bitmap = await createImageBitmap(blob, options).catch((error) => console.error(error.message));
    if (picture.number < newest) return bitmap?.close(); // A later one took less time.
    newest = picture.number;
    decoded?.bitmap?.close();
    if (decoded === null) requestAnimationFrame(display);
    decoded = { ...picture, bitmap };
  }

  function display() {
    const { number, media, width, height, bitmap } = decoded;
    const canvas = document.getElementById("picture");
    decoded = null;
    if (bitmap && canvas) {
      if (canvas.width !== width) canvas.width = width;
      if (canvas.height !== height) canvas.height = height;
      canvas.getContext("bitmaprenderer").transferFromImageBitmap(bitmap);
      shown = { number, media, width, height };
      if (window.trame.state.get("waiting")) window.trame.state.set("waiting", "");
    }
    session.call(topic, [number]).then((answer) => {
      if (answer?.refused) console.error(answer.refused);
    });
  }

  session.subscribe(topic, ([picture]) => receive(picture));

  /** The picture that this page shows; `null` if it draws by itself. */
  window.nnviz3dPicture = () => (document.getElementById("picture") === null ? null : shown);
})();
