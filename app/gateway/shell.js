
'use strict';
// The page around an app's page. It listens to the host only: no message of the frame is read, ever.
(() => {
  const facts = document.documentElement.dataset
  const bar = document.querySelector('header')
  const [title, text, buttons] = [bar.querySelector('strong'), bar.querySelector('span'), bar.querySelector('div')]
  const started = performance.now()

  // Made here and not written in the page: browsers lead a written frame back to where it was, with an old pass.
  const frame = document.createElement('iframe')
  frame.title = facts.name
  frame.setAttribute('sandbox', facts.sandbox)
  frame.allow = facts.allow
  if (performance.getEntriesByType('navigation')[0]?.type === 'navigate') sessionStorage.removeItem('at')
  const wanted = () => sessionStorage.getItem('at') ?? (location.hash.startsWith('#/') ? location.hash.slice(1) : '/')
  const door = () => facts.app + '/.paddock/enter?t=' + facts.pass + '&to=' + encodeURIComponent(wanted())
  const go = () => { own = null; draw(); frame.contentWindow.location.replace(door()) }

  // The bar shows what the host says, else what this page noticed itself.
  let told = null, own = null, hidden = '', drawn = ''
  function draw() {
    let b = told || own
    if (b && hidden === b.title + b.text) b = null
    if (JSON.stringify(b) === drawn) return
    drawn = JSON.stringify(b)
    bar.hidden = !b
    if (!b) return
    title.textContent = b.title
    text.textContent = b.text
    const hide = { label: 'Hide', run: () => { hidden = b.title + b.text; own = null; draw() } }
    buttons.replaceChildren(...[...(b.actions || []), hide].map((a) => {
      const button = document.createElement('button')
      button.textContent = a.label
      button.addEventListener('click', a.run || (() => press(a.name)))
      return button
    }))
  }
  async function press(action) {
    let status = 0
    try {
      status = (await fetch('/.paddock/act', { method: 'POST', body: new URLSearchParams({ action }) })).status
    } catch { /* said below */ }
    if (status === 204 && action !== 'ask_window') { told = null; return go() }
    own = status === 204 ? { title: 'Look for the Paddock window.', text: 'Your answer there counts as soon as you give it.' }
      : status === 429 ? { title: 'Not so fast.', text: 'Wait a few seconds, then try again.' }
        : { title: 'That did not work.', text: 'Open the app from the Paddock tray or library.' }
    hidden = told ? told.title + told.text : hidden
    told = null
    draw()
  }

  // A tab follows the host: other grants, or an ended session, and it loads itself again.
  const leave = () => { stream.close(); frame.remove() }
  const renew = () => { leave(); location.reload() } // the frame first: it must not ask whether to stay
  const stream = new EventSource('/.paddock/events')
  stream.onmessage = (event) => {
    const now = JSON.parse(event.data)
    if (now.version !== facts.version) return renew()
    told = now.bar
    if (told) own = null
    draw()
    visited(now)
  }
  stream.onerror = () => {
    if (stream.readyState === EventSource.CLOSED) setTimeout(renew, performance.now() - started > 5000 ? 1000 : 5000)
  }
  addEventListener('pagehide', leave) // nothing of the app is kept to come back to, with rights that may be gone by then
  addEventListener('pageshow', (event) => { if (event.persisted) location.reload() })

  // A reload comes back to the document that this tab's frame loaded last: the host says which, the frame's load event
  // that it was this tab's.
  let seen = -1, at = null, loaded = 0
  function visited(now) {
    if (seen >= 0 && now.visit > seen) at = { path: now.path, when: performance.now() }
    seen = now.visit
    settle()
  }
  function settle() {
    if (!at || loaded < at.when - 1000) return
    sessionStorage.setItem('at', at.path)
    at = null
  }
  frame.addEventListener('load', () => { loaded = performance.now(); settle() })
  frame.addEventListener('load', () => { if (document.activeElement === document.body) frame.focus() }, { once: true })
  addEventListener('hashchange', () => { sessionStorage.removeItem('at'); go() }) // an address that was typed
  document.addEventListener('securitypolicyviolation', (event) => {
    if (event.effectiveDirective !== 'frame-src') return
    const where = /^https?:/.test(event.blockedURI) ? event.blockedURI : 'another place'
    own = { title: facts.name + ' wanted to leave for ' + where + '.', text: 'Apps stay in their page. Nothing was sent there.', actions: [{ label: 'Back to ' + facts.name, run: go }] }
    draw()
  })

  frame.src = door()
  document.body.append(frame)
})()
