// Buttons that act when they are held, so that a pocket or a tired thumb cannot: see buttons.py.
const HOLD_ms = 900;

export function render({ model, el }) {
  const box = document.createElement("div");
  el.append(box);
  let holding = null;

  const release = () => {
    if (holding === null) return;
    clearTimeout(holding.timer);
    holding.button.classList.remove("held");
    holding = null;
  };

  const press = (button, verb) => {
    release();
    button.style.setProperty("--hold", `${HOLD_ms}ms`);
    button.classList.add("held");
    const timer = setTimeout(() => { release(); model.send_msg({ verb }); if (navigator.vibrate) navigator.vibrate(60); }, HOLD_ms);
    holding = { button, timer };
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
    button.addEventListener("pointerdown", (event) => { if (event.button === 0) press(button, verb); });
    for (const end of ["pointerup", "pointercancel", "pointerleave"]) button.addEventListener(end, release);
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
    const send = document.createElement("button");
    send.textContent = "Write";
    note.className = "note";
    note.append(input, send);
    note.addEventListener("submit", (event) => {
      event.preventDefault();
      if (input.value.trim()) model.send_msg({ verb: "note", text: input.value.trim() });
      input.value = "";
    });
    box.append(note);
  }

  const allow = () => { grid.className = model.allowed ? "grid" : "grid locked"; };
  const draw = () => {
    release();
    allow();
    grid.replaceChildren(...model.buttons.map(made));
  };
  const tell = () => { said.className = `said ${model.result}`; said.textContent = model.said || (model.buttons.length && model.allowed ? "Hold a button for a second; a tap does nothing." : ""); };
  model.on("buttons", draw);
  model.on("allowed", () => { allow(); tell(); });
  model.on(["said", "result"], tell);
  draw();
  tell();
}
