// Says on the page why its websocket does not open: refused by the server, or not passed on by a proxy.
(() => {
  const proxies =
    "The page is here, but its connection for pictures, a websocket, is not let through. A proxy in front of nnviz3d " +
    "must pass on websockets: with nginx, the lines proxy_http_version 1.1, proxy_set_header Upgrade $http_upgrade and " +
    "proxy_set_header Connection upgrade.";

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

  async function explain() {
    let answer;
    try {
      answer = await fetch("paraview/", { method: "POST" });
    } catch {
      return; // the server has stopped
    }
    say(answer.ok ? proxies : await answer.text());
  }

  const Plain = window.WebSocket;
  window.WebSocket = class extends Plain {
    constructor(...args) {
      super(...args);
      let opened = false;
      this.addEventListener("open", () => {
        opened = true;
        document.getElementById("no-connection")?.remove();
      });
      this.addEventListener("close", () => {
        if (!opened) explain();
      });
    }
  };
})();
