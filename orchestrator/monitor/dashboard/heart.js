// The page says so itself when it no longer hears the dashboard: a frozen green page is the worst failure. See buttons.py.
const SILENT_ms = 8000;
const TRY_ms = 3000;

export function render({ model }) {
  document.getElementById("first")?.remove();
  let heard = Date.now();
  let trying = false;
  const banner = document.createElement("div");
  banner.id = "silent";
  banner.hidden = true;
  document.body.append(banner);
  model.on("beat", () => { heard = Date.now(); });

  const clock = (at) => new Date(at).toTimeString().slice(0, 5);
  const comeBack = async () => {
    trying = true;
    try {
      const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(TRY_ms) });
      if (answer.ok) location.reload();
    } catch { /* still away */ } finally { trying = false; }
  };
  const look = () => {
    const silent = Date.now() - heard > SILENT_ms;
    banner.hidden = !silent;
    document.body.classList.toggle("silent", silent);
    if (!silent) return;
    banner.textContent = `STALE since ${clock(heard)}: this page no longer hears the dashboard. What you see is old.`;
    if (!trying && document.visibilityState === "visible") comeBack();
  };
  model.send_msg({ alive: true });
  const timer = setInterval(look, 1000);
  document.addEventListener("visibilitychange", look);
  model.on("remove", () => { clearInterval(timer); document.removeEventListener("visibilitychange", look); banner.remove(); });
}
