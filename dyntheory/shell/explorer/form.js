// The controls, as plain elements with labels. Python says in `fields` what there is and what may be chosen, and in
// `values` what the controls hold after a load; what a person changes is sent as {name, text}.

const PATIENCE_TYPING = 350;
const PATIENCE_SLIDING = 40;

function shown(number, slider) {
  return slider.is_count ? String(Math.round(number)) : String(Number(number.toPrecision(3)));
}

function position(text, slider) {
  const number = Number(text);
  if (text.trim() === "" || !Number.isFinite(number) || (slider.is_log && number <= 0)) return null;
  return slider.is_log ? Math.log10(number) : number;
}

function later(send, patience) {
  let timer = null;
  return (text, now) => {
    clearTimeout(timer);
    if (now) send(text);
    else timer = setTimeout(() => send(text), patience);
  };
}

function element(kind, attributes, ...children) {
  const made = document.createElement(kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function makeSlider(slider, id) {
  const [low, high] = slider.is_log ? [Math.log10(slider.low), Math.log10(slider.high)] : [slider.low, slider.high];
  const step = slider.is_count ? 1 : (high - low) / 200;
  return element("input", { type: "range", min: low, max: high, step, id: `${id}-slider` });
}

function makeField(field, send) {
  const id = `control-${field.name}`;
  const label = element("label", { for: id });
  const input = field.is_choice
    ? element("select", { id })
    : element("input", { id, type: "text", autocomplete: "off", spellcheck: "false" });
  const box = element("div", { class: "field" }, label, input);
  const typed = later((text) => send(field.name, text), PATIENCE_TYPING);
  const slid = later((text) => send(field.name, text), PATIENCE_SLIDING);
  let range = null;
  const follow = (text) => {
    if (range === null) return;
    const place = position(text, field.slider);
    range.value = place === null ? range.min : place;
    range.setAttribute("aria-valuetext", text || input.placeholder);
  };
  let sent = null;
  const tell = (teller, now) => {
    if (now && input.value === sent) return;
    sent = now ? input.value : null;
    teller(input.value, now);
  };
  if (field.slider) {
    range = makeSlider(field.slider, id);
    range.addEventListener("input", () => {
      const number = Number(range.value);
      input.value = shown(field.slider.is_log ? 10 ** number : number, field.slider);
      range.setAttribute("aria-valuetext", input.value);
      sent = null;
      slid(input.value, false);
    });
    box.append(range);
  }
  input.addEventListener("input", () => {
    follow(input.value);
    tell(typed, field.is_choice);
  });
  input.addEventListener("change", () => tell(typed, true));
  const update = (now) => {
    label.textContent = now.label;
    input.disabled = now.is_disabled;
    if (range !== null) {
      range.disabled = now.is_disabled;
      range.setAttribute("aria-label", now.slider_label);
    }
    if (field.is_choice) {
      const held = input.value;
      input.replaceChildren(...now.options.map((one) => element("option", { value: one.value }, one.label)));
      input.value = held;
    } else {
      input.placeholder = now.placeholder;
    }
  };
  const put = (text) => {
    if (field.is_choice && ![...input.options].some((one) => one.value === text)) {
      input.append(element("option", { value: text }, text));
    }
    input.value = text;
    sent = text;
    follow(text);
  };
  return { box, update, put };
}

export function render({ model, el }) {
  const form = element("form", { id: "controls" });
  form.addEventListener("submit", (event) => event.preventDefault());
  const send = (name, text) => model.send_msg({ name, text });
  const fields = new Map();
  const legends = new Map();
  for (const field of model.fields) {
    if (!legends.has(field.group)) {
      const legend = element("legend", {});
      legends.set(field.group, { legend, set: element("fieldset", {}, legend) });
      form.append(legends.get(field.group).set);
    }
    const made = makeField(field, send);
    fields.set(field.name, made);
    legends.get(field.group).set.append(made.box);
  }
  const reset = element("button", { type: "button", id: "reset" });
  reset.addEventListener("click", () => send("reset", ""));
  form.append(reset);
  const update = () => {
    for (const field of model.fields) {
      fields.get(field.name).update(field);
      legends.get(field.group).legend.textContent = field.group_label;
    }
    reset.textContent = model.words.reset;
    document.documentElement.lang = model.words.language;
    document.title = model.words.title;
  };
  const put = () => {
    for (const [name, text] of Object.entries(model.values)) fields.get(name).put(text);
  };
  update();
  put();
  model.on("fields", update);
  model.on("words", update);
  model.on("values", put);
  window.addEventListener("popstate", () => window.location.reload());
  el.append(form);
}
