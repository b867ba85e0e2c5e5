// Message on the page if its program or its websocket does not load: refused by the server, or not passed on by a proxy.
// Hands trame the websocket's messages without the detour by blobs.
(() => {
  const noSockets =
    "The page is here, but its connection for pictures, a websocket, is not let through. A proxy in front of nnviz3d " +
    "must pass on websockets: with nginx, the lines proxy_http_version 1.1, proxy_set_header Upgrade $http_upgrade and " +
    "proxy_set_header Connection upgrade.";
  const noScripts = "A part of the page could not be loaded. Reload it.";

  function say(text) {
    const box = document.createElement("div");
    box.id = "no-connection";
    box.textContent = text;
    box.style.cssText =
      "position: fixed; inset: 0; z-index: 9999; display: grid; place-content: center; padding: 2rem; " +
      "white-space: pre-wrap; max-width: 44rem; margin: auto; background: #07090d; color: #c9d3e2; " +
      "font: 16px/1.6 system-ui, sans-serif";
    document.getElementById("no-connection")?.remove();
    document.body.append(box);
  }

  async function explain(otherwise) {
    let answer;
    try {
      answer = await fetch("paraview/", { method: "POST" });
    } catch {
      return; // the server has stopped
    }
    say(answer.ok ? otherwise : await answer.text());
  }

  // A browser names the page's origin when it asks for a module, so the server may refuse it.
  window.addEventListener("error", (event) => event.target instanceof HTMLScriptElement && explain(noScripts), true);

  /** The part of a blob that trame uses. A blob's bytes would travel to the browser's own process and back, twice. */
  class Bytes {
    constructor(buffer) {
      this.buffer = buffer;
    }
    slice(...part) {
      return new Bytes(this.buffer.slice(...part));
    }
    async arrayBuffer() {
      return this.buffer;
    }
  }

  const Plain = window.WebSocket;
  window.WebSocket = class extends Plain {
    constructor(...args) {
      super(...args);
      super.binaryType = "arraybuffer";
      let opened = false;
      this.addEventListener("open", () => {
        opened = true;
        document.getElementById("no-connection")?.remove();
      });
      this.addEventListener("close", () => {
        if (!opened) explain(noSockets);
      });
    }
    set binaryType(type) {
      if (type !== "blob") throw new Error(`Messages are handed on as blobs, not as ${type}.`);
    }
    set onmessage(receive) {
      super.onmessage = ({ data }) => receive({ data: data instanceof ArrayBuffer ? new Bytes(data) : data });
    }
  };
})();
