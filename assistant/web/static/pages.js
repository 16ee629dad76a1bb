// What both pages do in the browser beside Gradio: one look in the light and in the dark, the language of the
// document, and names for those of Gradio's own controls that have none in the customer's language.
(() => {
  const words = () => document.getElementById('page-words')?.dataset ?? {};

  function name(selector, text, root) {
    if (!text) return;
    root.querySelectorAll(selector).forEach((one) => {
      if (one.getAttribute('aria-label') !== text) one.setAttribute('aria-label', text);
      if (one.tagName === 'BUTTON' && one.title !== text) one.title = text;
    });
  }

  function dress() {
    const said = words();
    document.body.classList.remove('dark');
    if (said.lang && document.documentElement.lang !== said.lang) document.documentElement.lang = said.lang;
    if (said.title && document.title !== said.title) document.title = said.title;
    isDrawn();
    giveBack();
    name('#chat [role=log]', said.log, document);
    name('#chat .message-buttons button:nth-of-type(2)', said.like, document);
    name('#chat .message-buttons button:nth-of-type(1)', said.dislike, document);
    name('#chat .scroll-down-button-container button', said.scroll, document);
    // Gradio reads the markup of a message aloud as its name; the message itself is what should be read.
    document.querySelectorAll('#chat [data-testid=bot], #chat [data-testid=user]').forEach((one) => {
      one.removeAttribute('aria-label');
    });
    document.querySelectorAll('#phone input, #phone textarea').forEach((one) => { one.inputMode = 'tel'; });
    document.querySelectorAll('#code input, #code textarea').forEach((one) => { one.inputMode = 'numeric'; });
  }

  let waiting = false;
  function soon() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; dress(); });
  }

  window.assistantWords = soon;
  new MutationObserver(soon).observe(document.documentElement, { childList: true, subtree: true });

  // --- a lost connection -------------------------------------------------------------------------------------------
  // Once the page is drawn its live view never ends by itself: where its stream has ended, the server went away, and
  // Gradio does not notice. The stream before it, which drew the page, ends at about the time of `drawn`.
  const UNSENT = 'assistant-unsent';
  const box = () => document.querySelector('#box textarea');
  let lost = false;
  let drawn = Infinity;

  function isDrawn() {
    if (drawn === Infinity && document.querySelector('#chat .msg, #counts .counts')) drawn = performance.now();
  }

  function recover() {
    const writing = [...document.querySelectorAll('#reply textarea, #note textarea')].some((one) => one.value);
    if (writing) return; // an agent's words are theirs to copy; they are told how to go on
    if (box()?.value) sessionStorage.setItem(UNSENT, box().value);
    location.reload();
  }

  async function untilBack() {
    for (let pause = 1000; ; pause = Math.min(pause * 2, 15000)) {
      await new Promise((done) => { setTimeout(done, pause); });
      try {
        if ((await fetch('/readyz', { cache: 'no-store' })).ok) { recover(); return; }
      } catch { /* not yet */ }
    }
  }

  function lose() {
    if (lost) return;
    lost = true;
    const said = words();
    const line = document.createElement('p');
    line.id = 'lost';
    line.setAttribute('role', 'alert');
    line.textContent = `${said.lost} `;
    const link = document.createElement('a');
    link.href = location.pathname;
    link.textContent = said.reload;
    line.append(link);
    document.body.prepend(line);
    untilBack();
  }

  let leaving = false;
  window.addEventListener('pagehide', () => { leaving = true; });
  new PerformanceObserver((list) => {
    const ended = (entry) => entry.name.includes('/queue/data') && entry.responseEnd > drawn + 3000;
    if (!leaving && list.getEntries().some(ended)) lose();
  }).observe({ type: 'resource', buffered: true });

  function giveBack() {
    const unsent = sessionStorage.getItem(UNSENT);
    if (!unsent || !box() || !document.querySelector('#chat .msg')) return;
    sessionStorage.removeItem(UNSENT);
    if (box().value) return;
    box().value = unsent;
    box().dispatchEvent(new Event('input', { bubbles: true }));
  }
})();
