"use strict";
// All sounds start together and run in step; switching moves the gain from one to another within a few milliseconds,
// so the ear hears the timbre change and nothing else.
(() => {
  const FADE_S = 0.004;
  const root = document.documentElement;
  const find = (selector) => document.querySelector(selector);
  const findAll = (selector) => [...document.querySelectorAll(selector)];

  for (const button of findAll("[data-copy]")) {
    button.addEventListener("click", async () => {
      const text = document.getElementById(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(text.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(text); // No clipboard here: select it, ready for the copy key.
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy patch"; }, 1600);
    });
  }

  const closed = () => findAll("details:not([open])");
  let opened = [];
  addEventListener("beforeprint", () => { opened = closed(); opened.forEach((item) => { item.open = true; }); });
  addEventListener("afterprint", () => { opened.forEach((item) => { item.open = false; }); });

  // Sounds beside the player's take turns: one that starts goes on from where the other stopped.
  for (const group of findAll(".turns")) {
    const sounds = [...group.querySelectorAll("audio")];
    for (const sound of sounds) {
      sound.addEventListener("play", () => {
        for (const other of sounds.filter((one) => one !== sound && !one.paused)) {
          other.pause();
          sound.currentTime = other.currentTime;
        }
      });
    }
  }

  const player = find("#player");
  if (!player) return;
  const radios = findAll('input[name="sound"]');
  const playButton = find("#play"), slider = find("#position"), clock = find("#clock"), loop = find("#loop");
  const seconds = Number(player.dataset.seconds);
  let buffers = [], context = null, voices = [], startedAt = 0, position = 0, chosen = 0, ending = 0, trial = null;

  const decode = (audio) => {
    const encoded = audio.getAttribute("src");
    const bytes = Uint8Array.from(atob(encoded.slice(encoded.indexOf(",") + 1)), (letter) => letter.charCodeAt(0));
    return new OfflineAudioContext(1, 1, 44100).decodeAudioData(bytes.buffer);
  };

  const isPlaying = () => voices.length > 0;
  const elapsed = () => Math.max(0, context.currentTime - startedAt);
  const now = () => (isPlaying() ? Math.min(seconds, elapsed()) : position);

  function draw() {
    const at = now();
    root.style.setProperty("--at", (at / seconds).toFixed(4));
    if (document.activeElement !== slider || isPlaying()) slider.value = at;
    clock.textContent = `${at.toFixed(2)} s`;
    if (isPlaying()) requestAnimationFrame(draw);
  }

  function halt() {
    position = now();
    clearTimeout(ending);
    for (const { source, gain } of voices) {
      gain.gain.setTargetAtTime(0, context.currentTime, FADE_S / 3);
      source.stop(context.currentTime + 2 * FADE_S);
    }
    voices = [];
    player.classList.remove("playing");
    playButton.setAttribute("aria-label", "Play");
    draw();
  }

  function expectEnd() {
    ending = setTimeout(finish, 1000 * (seconds - now()) + 30);
  }

  function finish() {
    if (elapsed() < seconds - 0.01) return expectEnd(); // The sound card's clock stood still for a while.
    halt();
    position = 0;
    if (loop.checked) start(); else draw();
  }

  function start() {
    context ??= new AudioContext();
    context.resume();
    if (position >= seconds - 0.02) position = 0;
    const begin = context.currentTime + 0.02;
    voices = buffers.map((buffer, index) => {
      const source = new AudioBufferSourceNode(context, { buffer });
      const gain = new GainNode(context, { gain: index === chosen ? 1 : 0 });
      source.connect(gain).connect(context.destination);
      source.start(begin, Math.min(position, buffer.duration));
      return { source, gain };
    });
    startedAt = begin - position;
    expectEnd();
    player.classList.add("playing");
    playButton.setAttribute("aria-label", "Pause");
    requestAnimationFrame(draw);
  }

  const toggle = () => (isPlaying() ? halt() : start());

  function seek(to, andPlay) {
    const resume = andPlay || isPlaying();
    if (isPlaying()) halt();
    position = Math.max(0, Math.min(seconds, to));
    if (resume) start(); else draw();
  }

  function hear(index) {
    if (index >= radios.length) return;
    chosen = index;
    voices.forEach(({ gain }, other) => {
      gain.gain.setTargetAtTime(other === index ? 1 : 0, context.currentTime, FADE_S / 3);
    });
    if (trial) return; // What is playing stays hidden.
    radios[index].checked = true;
    for (const item of findAll("[data-sound]")) item.classList.toggle("chosen", Number(item.dataset.sound) === index);
  }

  const blind = find("#blind"), panel = find("#trial"), tally = find("#tally");
  const sides = findAll("[data-side]");

  function shuffle() {
    if (Math.random() < 0.5) trial.pair.reverse();
    listen(0);
  }

  function listen(side) {
    hear(trial.pair[side]);
    sides.forEach((button) => button.setAttribute("aria-pressed", String(Number(button.dataset.side) === side)));
    trial.side = side;
  }

  function toggleBlind() {
    const candidate = chosen || 1;
    if (trial) {
      const [, shown] = [...trial.pair].sort((one, other) => one - other);
      trial = null;
      hear(shown);
    } else {
      trial = { pair: [0, candidate], side: 0, right: 0, asked: 0 };
      tally.textContent = "Which one is the target?";
      shuffle();
    }
    panel.hidden = !trial;
    root.classList.toggle("blind", Boolean(trial));
    blind.setAttribute("aria-pressed", String(Boolean(trial)));
    radios.forEach((radio) => { radio.disabled = Boolean(trial); });
  }

  function answer(side) {
    const right = trial.pair[side] === 0;
    trial.asked += 1;
    trial.right += right ? 1 : 0;
    tally.textContent = `${right ? "Right" : "No, the other one"}: ${trial.right} of ${trial.asked}. Again: which one?`;
    shuffle();
  }

  function press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const on = event.target;
    const field = on.matches?.("input:not([type=radio]), textarea");
    const letter = event.key.toLowerCase();
    if (event.key === " " && !field && !on.matches?.("button, summary, a")) toggle();
    else if (trial && (letter === "a" || letter === "b")) listen(letter === "a" ? 0 : 1);
    else if (!trial && /^[0-9]$/.test(event.key)) hear(Number(event.key));
    else if (!trial && letter === "t") hear(0);
    else return;
    event.preventDefault();
  }

  function connect() {
    document.addEventListener("keydown", press);
    playButton.addEventListener("click", toggle);
    slider.addEventListener("input", () => seek(Number(slider.value), false));
    radios.forEach((radio, index) => radio.addEventListener("change", () => hear(index)));
    blind?.addEventListener("click", toggleBlind);
    sides.forEach((button) => button.addEventListener("click", () => listen(Number(button.dataset.side))));
    findAll("[data-answer]").forEach((button) => {
      button.addEventListener("click", () => answer(Number(button.dataset.answer)));
    });
    for (const plot of findAll(".plot")) {
      plot.addEventListener("click", (event) => {
        const box = plot.getBoundingClientRect();
        if (!trial) hear(Number(plot.closest("[data-sound]").dataset.sound));
        seek((seconds * (event.clientX - box.left)) / box.width, true);
      });
    }
  }

  Promise.all(findAll("figure audio").map(decode)).then((decoded) => {
    buffers = decoded;
    connect();
    hear(0);
    draw();
    root.classList.add("playable");
    root.dataset.decoded = decoded.map((buffer) => buffer.duration.toFixed(3)).join(" ");
  }).catch((reason) => {
    find("#unplayable").hidden = false; // Each figure keeps the browser's own player.
    root.dataset.decoded = `failed: ${reason}`;
  });
})();
