// The page says so itself when it no longer hears the dashboard: a frozen green page is the worst failure. See buttons.py.
const SILENT_ms = 8000;
const TRY_ms = 3000;
const PATIENT = 3;
const LIVED_ms = 60000;
const TRIES = "operando tries";

export function render({ model }) {
  document.getElementById("first")?.remove();
  let heard = Date.now();
  let trying = false;
  const opened = Date.now();
  const tries = Number(sessionStorage.getItem(TRIES));
  // Each opening costs a busy server more than keeping quiet: who had to come back just now waits twice as long before the next time.
  const patience = SILENT_ms * 2 ** Math.min(tries, PATIENT);
  const banner = document.createElement("div");
  banner.id = "silent";
  banner.hidden = true;
  document.body.append(banner);
  model.on("beat", () => {
    heard = Date.now();
    if (heard - opened > LIVED_ms) sessionStorage.removeItem(TRIES);
  });

  const clock = (at) => new Date(at).toTimeString().slice(0, 5);
  const comeBack = async () => {
    trying = true;
    try {
      const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(TRY_ms) });
      if (!answer.ok) return;
      sessionStorage.setItem(TRIES, tries + 1);
      location.reload();
    } catch { /* still away */ } finally { trying = false; }
  };
  const look = () => {
    const silent = Date.now() - heard > SILENT_ms;
    banner.hidden = !silent;
    document.body.classList.toggle("silent", silent);
    if (!silent) return;
    banner.textContent = `STALE since ${clock(heard)}: this page no longer hears the dashboard. What you see is old.`;
    if (Date.now() - heard > patience && !trying && document.visibilityState === "visible") comeBack();
  };
  model.send_msg({ alive: true });
  const timer = setInterval(look, 1000);
  document.addEventListener("visibilitychange", look);
  model.on("remove", () => { clearInterval(timer); document.removeEventListener("visibilitychange", look); banner.remove(); });
}
