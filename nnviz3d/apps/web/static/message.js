// Sentences that the page shows for some seconds: each has a number, so that a new one is shown for its full time.
(() => {
  const state = window.trame.state;
  window.nnviz3dSay = (sentence) => {
    state.set("message", sentence);
    state.set("said", state.get("said") + 1);
  };
})();
