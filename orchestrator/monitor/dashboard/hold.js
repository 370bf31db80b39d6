// Buttons that act when they are held, so that a pocket or a tired thumb cannot: see buttons.py.
const HOLD_ms = 900;
const SLIDE_px = 40;  // so far a finger slides to take its command back
const HINT = "Hold a button for a second; a tap does nothing.";
const HOLD_ON = "Hold on …";
const TOO_SOON = "Let go too soon: nothing was sent. Hold it until the bar is full.";
const SENDING = "Sending …";
const UNHEARD_ms = 9000;
const UNHEARD = "This page got no word of it: nobody knows whether the rig has heard it. Go there, or try again.";

export function render({ model, el }) {
  const box = document.createElement("div");
  el.append(box);
  let holding = null;
  let unheard = null;

  const end = () => {
    const { button, timer, redraw } = holding;
    clearTimeout(timer);
    button.classList.remove("held");
    holding = null;
    if (redraw) draw();
  };

  const release = () => {
    if (holding === null) return;
    model.send_msg({ phase: "up", verb: holding.verb });
    end();
    tell(TOO_SOON);
  };

  const send = (verb, text = "") => {
    model.send_msg({ phase: "held", verb, text });
    tell(SENDING);
    unheard = setTimeout(() => tell(UNHEARD), UNHEARD_ms);
  };

  const press = (button, verb, from = null) => {
    if (holding !== null) release();
    model.send_msg({ phase: "down", verb });
    button.style.setProperty("--hold", `${HOLD_ms}ms`);
    button.classList.add("held");
    tell(HOLD_ON);
    const timer = setTimeout(() => {
      send(verb);
      end();
      if (navigator.vibrate) navigator.vibrate(60);
    }, HOLD_ms);
    holding = { button, verb, timer, from, redraw: false };
  };

  const made = ({ verb, title, does, tone }) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = tone;
    button.dataset.verb = verb;
    const [head, small, fill] = ["b", "small", "i"].map((tag) => document.createElement(tag));
    head.textContent = title;
    small.textContent = does;
    button.append(fill, head, small);
    button.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      button.setPointerCapture(event.pointerId);  // a page that moves under the finger takes nothing back
      press(button, verb, event);
    });
    button.addEventListener("pointermove", (event) => {
      const from = holding?.from;
      if (from && Math.hypot(event.clientX - from.clientX, event.clientY - from.clientY) > SLIDE_px) release();
    });
    for (const over of ["pointerup", "pointercancel"]) button.addEventListener(over, release);
    button.addEventListener("blur", () => { if (holding?.from === null) release(); });  // a key's hold; a page that redraws takes the focus
    button.addEventListener("contextmenu", (event) => event.preventDefault());
    button.addEventListener("keydown", (event) => { if (!event.repeat && (event.key === " " || event.key === "Enter")) press(button, verb); });
    button.addEventListener("keyup", release);
    return button;
  };

  const grid = document.createElement("div");
  const said = document.createElement("div");
  said.setAttribute("role", "status");
  box.append(grid, said);

  if (model.writes) {
    const note = document.createElement("form");
    const input = document.createElement("input");
    input.placeholder = "A note for the run";
    input.maxLength = 2000;
    const write = document.createElement("button");
    write.textContent = "Write";
    note.className = "note";
    note.append(input, write);
    note.addEventListener("submit", (event) => {
      event.preventDefault();
      if (input.value.trim()) send("note", input.value.trim());
      input.value = "";
    });
    box.append(note);
  }

  const allow = () => { grid.className = model.allowed ? "grid" : "grid locked"; };
  const draw = () => {
    if (holding !== null) {
      holding.redraw = true;  // not under a finger
      return;
    }
    allow();
    grid.replaceChildren(...model.buttons.map(made));
  };
  const tell = (here = "") => {
    clearTimeout(unheard);
    said.className = `said ${here ? "" : model.result}`;
    said.textContent = here || model.said || (model.buttons.length && model.allowed ? HINT : "");
  };
  model.on("buttons", draw);
  model.on("remove", () => { clearTimeout(unheard); if (holding !== null) clearTimeout(holding.timer); });
  model.on("allowed", () => { allow(); tell(); });
  model.on(["said", "result"], () => tell());
  draw();
  tell();
}
