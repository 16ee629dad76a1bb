"""The console's login form: one self-contained page that posts to the API, which sets the cookie."""

import json

from assistant.types.value import Locale
from assistant.web.labels import words
from assistant.web.prose import escaped

_STYLE = """
:root { --paper: #f6f4ee; --card: #fff; --ink: #1d2b28; --ink-soft: #4d5a56; --line: #b9b6a9; --accent: #0d5c50; }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 24px; background: var(--paper);
  color: var(--ink); font: 16px/1.6 "Noto Sans SC", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", system-ui,
  sans-serif; }
main { width: 100%; max-width: 380px; background: var(--card); border: 1px solid #dedbd0; border-radius: 14px;
  padding: 32px; }
h1 { font: 600 22px/1.3 "Noto Serif CJK SC", "Songti SC", "Noto Serif SC", serif; margin: 0; }
p.where { margin: 4px 0 24px; color: var(--ink-soft); }
label { display: block; margin: 16px 0 4px; color: var(--ink-soft); font-size: 14px; }
input { width: 100%; font: inherit; color: inherit; padding: 10px 12px; border: 1px solid var(--line);
  border-radius: 8px; background: #fff; }
button { width: 100%; margin-top: 24px; padding: 11px; font: inherit; font-weight: 600; color: #fff; border: 0;
  border-radius: 8px; background: var(--accent); cursor: pointer; }
button:hover { background: #08443b; }
button:disabled { opacity: .6; cursor: default; }
:focus-visible { outline: 3px solid #0d5c50; outline-offset: 2px; }
[role=alert] { min-height: 1.6em; margin: 12px 0 0; color: #9a2b12; }
a { color: var(--accent); font-size: 14px; }
"""

_SCRIPT = """
const said = JSON.parse(document.getElementById('said').textContent);
const form = document.querySelector('form');
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const fault = document.querySelector('[role=alert]');
  const button = form.querySelector('button');
  fault.textContent = '';
  button.disabled = true;
  try {
    const answer = await fetch('/api/v1/agent/login', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ name: form.elements.name.value, password: form.elements.password.value }),
    });
    if (answer.ok) { location.assign('/agent/'); return; }
    fault.textContent = answer.status === 401 || answer.status === 422 ? said.wrong
      : answer.status === 429 ? said.many : said.failed;
  } catch { fault.textContent = said.failed; }
  button.disabled = false;
  form.elements.password.select();
});
"""


def page(institution: dict[Locale, str], locale: Locale) -> str:
    """The whole document."""
    say = words(locale)
    said = {"wrong": say("login_wrong"), "many": say("login_many"), "failed": say("login_failed")}
    data = json.dumps(said, ensure_ascii=False).replace("<", "\\u003c")
    other = "zh-CN" if locale == "en" else "en"
    return f"""<!doctype html>
<html lang="{locale}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escaped(say("login_title"))}</title><style>{_STYLE}</style></head><body><main>
<h1>{escaped(institution[locale])}</h1><p class="where">{escaped(say("console_title"))}</p>
<form method="post" action="/api/v1/agent/login">
<label for="name">{escaped(say("login_name"))}</label>
<input id="name" name="name" autocomplete="username" autocapitalize="off" required autofocus>
<label for="password">{escaped(say("login_password"))}</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button type="submit">{escaped(say("login_submit"))}</button><p role="alert"></p></form>
<a href="?lang={other}" lang="{other}">{escaped(say("switch_language"))}</a></main>
<script type="application/json" id="said">{data}</script><script>{_SCRIPT}</script></body></html>"""
