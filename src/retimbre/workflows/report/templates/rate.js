(() => {
  "use strict";
  const find = (selector) => document.querySelector(selector);
  const test = JSON.parse(find("#test").textContent);
  const [LOWEST, HIGHEST] = test.mode === "mos" ? [1, 5] : [0, 100];
  const BANDS = ["Bad", "Poor", "Fair", "Good", "Excellent"];
  const LETTERS = "ABCDEFGHIJKL";
  // A sound counts as heard once so much of it has been played: the last frames may never be reported.
  const HEARD_SHARE = 0.9;

  const STORE = `retimbre-listening/${test.pack}`;
  let state = null, screens = [], players = new Map(), shownAt = 0, kept = true, saved = true;

  // --- Order: every listener has one, and the same one after a reload. FNV-1a makes a seed, mulberry32 the numbers.

  function numbers(text) {
    let seed = 0x811c9dc5;
    for (const letter of text) seed = Math.imul(seed ^ letter.codePointAt(0), 0x01000193);
    return () => {
      seed = (seed + 0x6d2b79f5) | 0;
      let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
    };
  }

  function shuffled(items, random) {
    const order = [...items];
    for (let last = order.length - 1; last > 0; last -= 1) {
      const other = Math.floor(random() * (last + 1));
      [order[last], order[other]] = [order[other], order[last]];
    }
    return order;
  }

  function screensOf(listener) {
    const random = numbers(`${test.pack}/${listener}`);
    return shuffled(test.screens, random).map((screen) => ({ ...screen, sounds: shuffled(screen.sounds, random) }));
  }

  // --- What is kept: every change goes to the browser's store at once, and to a file when the listener saves it.

  function load(key) {
    try {
      return JSON.parse(localStorage.getItem(key));
    } catch {
      return null;
    }
  }

  function keep() {
    saved = false;
    try {
      localStorage.setItem(`${STORE}/${state.listener}`, JSON.stringify(state));
      localStorage.setItem(STORE, JSON.stringify(state.listener));
    } catch {
      kept = false;
      find("#unkept").hidden = false;
    }
  }

  const isScored = (sound) => Number.isInteger(state.scores[sound]);
  const numScored = () => screens.flatMap((screen) => screen.sounds).filter(isScored).length;
  const numSounds = () => screens.reduce((sum, screen) => sum + screen.sounds.length, 0);

  function answersCsv() {
    const lines = [test.columns.join(",")];
    screens.forEach((screen, position) => {
      for (const sound of screen.sounds.filter(isScored)) {
        const seconds = (state.seconds[position] ?? 0).toFixed(1);
        const about = [test.pack, state.listener, position + 1, screen.trial, sound];
        lines.push([...about, state.scores[sound], state.plays[sound] ?? 0, seconds].join(","));
      }
    });
    return `${lines.join("\n")}\n`;
  }

  function download() {
    const address = URL.createObjectURL(new Blob([answersCsv()], { type: "text/csv" }));
    const link = make("a", { href: address, download: `scores_${test.pack}_${state.listener}.csv` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
    saved = true;
  }

  // --- Elements

  function make(name, properties = {}, ...inside) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(properties)) {
      if (key.includes("-") || key === "role" || key === "for") element.setAttribute(key, value);
      else element[key] = value;
    }
    element.append(...inside);
    return element;
  }

  function say(text) {
    find("#says").textContent = text;
  }

  function show(name) {
    for (const each of ["intro", "rating", "end"]) find(`#${each}`).hidden = each !== name;
    scrollTo(0, 0);
  }

  // --- Playing: one sound at a time, each from its start.

  function stopAll() {
    for (const { audio } of players.values()) audio.pause();
  }

  function player(sound, label, onHeard) {
    const audio = new Audio(test.addresses[sound]);
    audio.preload = "auto";
    const bar = make("span", { className: "bar", "aria-hidden": "true" });
    const word = make("span", {}, "Play");
    const button = make("button", { type: "button", className: "hear", "aria-label": `Play ${label}` }, word, bar);
    const entry = { audio, button, heard: false, label };
    const draw = () => {
      const playing = !audio.paused && !audio.ended;
      word.textContent = playing ? "Stop" : "Play";
      button.setAttribute("aria-label", `${playing ? "Stop" : "Play"} ${label}`);
      button.classList.toggle("playing", playing);
      bar.style.width = audio.duration ? `${(100 * audio.currentTime) / audio.duration}%` : "0";
      if (playing) requestAnimationFrame(draw);
    };
    const check = () => {
      let played = 0;
      for (let part = 0; part < audio.played.length; part += 1) played += audio.played.end(part) - audio.played.start(part);
      if (!entry.heard && (audio.ended || played >= HEARD_SHARE * audio.duration)) {
        entry.heard = true;
        onHeard(entry);
      }
    };
    audio.addEventListener("play", draw);
    audio.addEventListener("pause", draw);
    audio.addEventListener("timeupdate", check);
    audio.addEventListener("ended", () => { check(); draw(); });
    audio.addEventListener("error", () => {
      find("#unplayable").hidden = false;
      say(`${label} cannot be played.`);
    });
    entry.toggle = () => {
      if (!audio.paused && !audio.ended) return audio.pause();
      stopAll();
      audio.currentTime = 0;
      if (state) state.plays[sound] = (state.plays[sound] ?? 0) + 1;
      audio.play().catch(() => say(`${label} cannot be played yet. Press Play again.`));
    };
    button.addEventListener("click", entry.toggle);
    players.set(sound, entry);
    return entry;
  }

  // --- Scoring

  function answer(sound, score) {
    state.scores[sound] = score;
    say("");
    keep();
    progress();
  }

  function unlocked(sound) {
    return isScored(sound) || players.get(sound).heard;
  }

  function categories(sound) {
    const group = make("fieldset", { className: "categories", disabled: true });
    group.append(make("legend", {}, find("#question").textContent));
    for (let score = HIGHEST; score >= LOWEST; score -= 1) {
      const radio = make("input", { type: "radio", name: "score", value: String(score), checked: state.scores[sound] === score });
      radio.addEventListener("change", () => answer(sound, score));
      group.append(make("label", { className: "category" }, radio, make("span", {}, make("b", {}, String(score)), ` ${BANDS[score - 1]}`)));
    }
    return group;
  }

  const band = (score) => BANDS[Math.min(4, Math.floor(score / 20))];

  function slider(sound, label) {
    const before = state.scores[sound];
    const range = make("input", { type: "range", min: String(LOWEST), max: String(HIGHEST), step: "1", value: String(before ?? 50), disabled: true, "aria-label": `Score of ${label}` });
    const shown = make("output", { className: "shown" });
    const draw = () => {
      const score = state.scores[sound];
      const words = score === undefined ? "not scored" : `${score}, ${band(score)}`;
      shown.textContent = score === undefined ? "–" : String(score);
      range.setAttribute("aria-valuetext", words);
      range.classList.toggle("unset", score === undefined);
    };
    const set = () => { answer(sound, Number(range.value)); draw(); };
    range.addEventListener("input", set);
    // A click on the middle, where the handle stands at first, changes nothing but is an answer too.
    range.addEventListener("pointerup", () => { if (!range.disabled) set(); });
    range.addEventListener("keydown", (event) => { if (event.key === "Enter") set(); });
    draw();
    const bands = make("div", { className: "bands", "aria-hidden": "true" }, ...BANDS.map((name) => make("span", {}, name)));
    return [range, make("div", { className: "scale" }, bands, range), shown];
  }

  function row(sound, label, withScore) {
    const mark = make("span", { className: "mark" }, label.replace("sound ", ""));
    const line = make("div", { className: withScore ? "line" : "line open" }, mark);
    if (!withScore) {
      line.append(player(sound, label, () => {}).button, make("span", { className: "detail" }, "what the others are compared with"));
      return line;
    }
    const [range, scale, shown] = slider(sound, label);
    const entry = player(sound, label, () => { range.disabled = false; say(`Heard: score ${label} now.`); });
    entry.control = range;
    range.disabled = !unlocked(sound);
    line.append(entry.button, scale, shown);
    return line;
  }

  function progress() {
    const done = numScored(), all = numSounds();
    find("#done").value = done;
    find("#done").max = all;
    find("#count").textContent = `${done} of ${all} sounds scored`;
  }

  function spend() {
    if (!state || !shownAt) return;
    state.seconds[state.at] = (state.seconds[state.at] ?? 0) + (performance.now() - shownAt) / 1000;
    shownAt = performance.now();
    keep();
  }

  function drawScreen() {
    stopAll();
    players = new Map();
    const screen = screens[state.at], body = find("#sounds");
    body.replaceChildren();
    find("#place").textContent = `${test.mode === "mos" ? "Sound" : "Trial"} ${state.at + 1} of ${screens.length}`;
    if (test.mode === "mos") {
      const sound = screen.sounds[0], group = categories(sound);
      const entry = player(sound, "the sound", () => { group.disabled = false; say("Heard: choose a score now."); });
      entry.control = group.querySelector("input");
      group.disabled = !unlocked(sound);
      body.append(entry.button, group);
    } else {
      if (screen.reference) body.append(row(screen.reference, "reference", false));
      screen.sounds.forEach((sound, index) => body.append(row(sound, `sound ${LETTERS[index]}`, true)));
    }
    find("#back").disabled = state.at === 0;
    find("#next").textContent = state.at + 1 < screens.length ? "Next" : "Finish";
    say("");
    progress();
    shownAt = performance.now();
    show("rating");
    find("#place").focus();
  }

  function go(by) {
    spend();
    state.at += by;
    keep();
    drawScreen();
  }

  function next() {
    const missing = screens[state.at].sounds.filter((sound) => !isScored(sound));
    if (missing.length) {
      const labels = missing.map((sound) => players.get(sound).label).join(", ");
      const first = players.get(missing[0]);
      say(first.heard ? `Still to be scored: ${labels}.` : `Listen to the end before you score: ${labels}.`);
      (first.heard ? first.control : first.button).focus();
    } else if (state.at + 1 < screens.length) go(1);
    else finish();
  }

  function finish() {
    const open = screens.findIndex((screen) => screen.sounds.some((sound) => !isScored(sound)));
    if (open >= 0) return go(open - state.at);
    spend();
    shownAt = 0;
    stopAll();
    find("#answers").value = answersCsv();
    show("end");
    find("#end h2").focus();
  }

  // --- Beginning

  function greet() {
    const listener = load(STORE);
    if (typeof listener !== "string" || !load(`${STORE}/${listener}`)) return;
    find("#listener").value = listener;
    find("#welcome").textContent = `Welcome back, ${listener}. Your scores are still here; start to go on.`;
  }

  function begin(event) {
    event.preventDefault();
    const listener = find("#listener").value.trim();
    const before = load(`${STORE}/${listener}`);
    screens = screensOf(listener);
    const fresh = { listener, at: 0, scores: {}, plays: {}, seconds: {} };
    state = before && screens[before.at] ? { ...fresh, ...before, listener } : fresh;
    keep();
    drawScreen();
  }

  function practise() {
    test.practice.forEach((sound, index) => {
      const entry = player(sound, `example ${index + 1}`, () => {});
      find("#practice").append(entry.button);
    });
  }

  function press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input[type=text], textarea")) return;
    if (find("#rating").hidden) return;
    const key = event.key.toLowerCase(), screen = screens[state.at];
    if (test.mode === "mos") {
      const score = find(`#sounds input[value="${CSS.escape(key)}"]`);
      if (key === "p") players.get(screen.sounds[0]).toggle();
      else if (score && !score.closest("fieldset").disabled) { score.focus(); score.click(); }
      else return;
    } else {
      const index = LETTERS.toLowerCase().indexOf(key);
      if (key === "r" && screen.reference) players.get(screen.reference).toggle();
      else if (key.length === 1 && index >= 0 && index < screen.sounds.length) players.get(screen.sounds[index]).toggle();
      else return;
    }
    event.preventDefault();
  }

  find("#enter").addEventListener("submit", begin);
  find("#back").addEventListener("click", () => go(-1));
  find("#next").addEventListener("click", next);
  find("#review").addEventListener("click", drawScreen);
  for (const button of document.querySelectorAll(".save")) button.addEventListener("click", () => { spend(); download(); });
  find("#copy").addEventListener("click", () => {
    find("#answers").select();
    saved = Boolean(document.execCommand("copy"));
    find("#copy").textContent = saved ? "Copied" : "Press Ctrl+C";
  });
  document.addEventListener("keydown", press);
  addEventListener("pagehide", spend);
  addEventListener("beforeunload", (event) => { if (state && !kept && !saved) event.preventDefault(); });
  practise();
  greet();
  document.documentElement.dataset.ready = "yes";
})();
