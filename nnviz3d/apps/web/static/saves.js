// Saves: the view in the page's address, which opens it again, and downloads of scene files and keyframes.
(() => {
  const trame = window.trame;
  const asked = new URLSearchParams(location.search).get("view");
  const interval = 500;
  const client = import(new URL("client.js", document.baseURI));

  const picture = () => {
    const box = document.getElementById("view")?.getBoundingClientRect();
    return box && box.width > 0 && box.height > 0 ? box.width / box.height : 1.5;
  };

  /** The camera of this page; `null` if the server draws. */
  function pose() {
    const found = window.nnviz3d?.pose?.() ?? null;
    return found === null ? null : { ...found, aspect: picture() };
  }

  async function look(found) {
    if (window.nnviz3d?.pose?.()) window.nnviz3d.look((await client).poseInPicture(found, picture()));
    else await trame.trigger("look", [found]);
  }

  /** Wait until the scene is drawn, here or by the server. */
  async function drawn() {
    while (!(trame.state.get("drawing") === "server" || window.nnviz3d?.pictures?.())) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** The text of the view that this page shows, with its own camera if the user has moved it. */
  async function viewText() {
    const { decodeView, encodeView } = await client;
    const text = trame.state.get("view");
    if (trame.state.get("drawing") !== "client") return text;
    const view = decodeView(text);
    delete view.pose;
    if (window.nnviz3d?.moved?.()) view.pose = pose();
    return encodeView(view);
  }

  window.nnviz3dSaves = {
    pose,
    look,
    view: viewText,
    /** Show a view that the user has chosen. */
    async open(text) {
      const here = trame.state.get("drawing") === "client";
      const found = await trame.trigger("open_view", [text], { drawn_here: here, chosen: true });
      if (!found) return trame.trigger("key", ["home"]);
      if (here) window.nnviz3d.fly((await client).poseInPicture(found, picture()));
      else await look(found);
    },
    keyframe: () => trame.trigger("add_keyframe", [pose()]),
    removeKeyframe: () => trame.trigger("remove_keyframe", [-1]),
    async show(number) {
      const found = await trame.trigger("show_keyframe", [number, picture()]);
      if (found) await look(found);
    },
    exportPage: (every, rounded) =>
      trame.trigger("export_page", [pose(), window.nnviz3d?.moved?.() ?? false, every, rounded]),
    async write() {
      const text = await trame.trigger("write_scene", [pose()]);
      if (!text) return;
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([text], { type: "application/toml" }));
      link.download = "my.toml";
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    },
  };
  window.addEventListener("nnviz3d-key", (event) => window.nnviz3dSaves[event.detail]?.());

  // The secret never stays in the address: the page's cookie has it.
  function put(text) {
    const others = location.search.slice(1).split("&");
    const kept = others.filter((part) => part !== "" && !/^(view|secret)=/.test(part));
    const address = `${location.pathname}?${[...kept, `view=${text}`].join("&")}${location.hash}`;
    if (address !== `${location.pathname}${location.search}${location.hash}`) history.replaceState(history.state, "", address);
  }

  function follow() {
    setInterval(async () => {
      if (trame.state.get("view") && !document.hidden) put(await viewText());
    }, interval);
  }

  async function begin() {
    if (asked !== null) {
      await drawn();
      const here = trame.state.get("drawing") === "client";
      const found = await trame.trigger("open_view", [asked], { drawn_here: here });
      if (found) await look(found);
    }
    // The server tells its state in a moment.
    setTimeout(follow, interval);
  }
  begin();
})();
