
'use strict';
(() => {
  const PAUSE = 2000, LIMIT = 10000;
  let pause = PAUSE;
  const main = document.querySelector('main'), state = document.getElementById('state');
  const url = document.body.dataset.json, title = document.title;
  let last = JSON.parse(document.getElementById('data').textContent);

  // Elements. Whatever comes from the pool is a text or an attribute, never markup.
  const SVG = ['svg', 'rect'];
  const element = (name, attributes, ...children) => {
    const node = SVG.includes(name)
      ? document.createElementNS('http://www.w3.org/2000/svg', name) : document.createElement(name);
    for (const [attribute, value] of Object.entries(attributes)) node.setAttribute(attribute, value);
    node.append(...children.flat().filter(child => child !== null && child !== ''));
    return node;
  };
  const words = (name, style, ...said) => element(name, style ? { class: style } : {}, ...said);
  const small = said => said === null ? null : element('small', {}, said);

  // Numbers and times, as `words.rs` writes them.
  const number = n => n.toLocaleString('en-US');
  const counted = (n, one, many) => `${number(n)} ${n === 1 ? one : many}`;
  const label = key => key.length > 1 && key.startsWith('"') && key.endsWith('"') ? key.slice(1, -1) : key;
  const time = seconds => {
    const micros = Math.round(seconds * 1e6), whole = n => Math.floor(n);
    const millis = whole(micros / 1e3), secs = whole(micros / 1e6);
    if (micros === 0) return '0 s';
    if (micros < 1e3) return `${micros} µs`;
    if (micros < 1e4) return `${millis}.${whole(micros % 1e3 / 100)} ms`;
    if (micros < 1e6) return `${millis} ms`;
    if (micros < 6e7) return `${secs}.${whole(millis % 1e3 / 100)} s`;
    if (secs < 3600) return `${whole(secs / 60)} min`;
    if (secs < 48 * 3600) return `${whole(secs / 3600)} h`;
    return `${whole(secs / 86400)} days`;
  };

  // What has happened since the snapshot before. A host that was forgotten meanwhile counts from zero again.
  const perSecond = (name, now, before, passed) => {
    if (!before || passed <= 0 || now[name] < before[name]) return null;
    const rate = (now[name] - before[name]) / passed;
    if (rate === 0) return null;
    const shown = rate < 1 ? rate.toFixed(2) : rate < 100 ? rate.toFixed(1) : number(Math.round(rate));
    return `${shown}/s`;
  };
  const ended = status => status.waited - status.waiting;
  const meanWait = status => ended(status) > 0 ? time(status.wait_time / ended(status)) : '–';
  const waitNow = (now, before, passed) => {
    if (!before || passed <= 0 || now.waited < before.waited) return null;
    const waits = ended(now) - ended(before);
    return waits > 0 ? `${time(Math.max(0, now.wait_time - before.wait_time) / waits)} now` : null;
  };

  // Parts of the page, as `render.rs` makes them.
  const more = (tag, n, what) => n > 0 ? words(tag, 'more', `and ${number(n)} ${what}`) : null;
  const sentence = (host, said) =>
    element('li', {}, host === null ? said : [words('strong', '', label(host)), ` ${said}`]);
  const table = (columns, rows) => {
    const head = columns.map(([name, style]) => element('th', { scope: 'col', class: style }, name));
    const parts = [element('thead', {}, element('tr', {}, ...head)), element('tbody', {}, ...rows)];
    return element('div', { class: 'wide' }, element('table', {}, ...parts));
  };

  const notes = pool => pool.notes.length === 0
    ? words('p', 'fine', 'No caller waits, and every host can be dialed.')
    : words('ul', 'notes', ...pool.notes.map(note => sentence(note.host, note.text)), more('li', pool.more_notes, 'more'));

  const figures = (now, before, passed) => {
    const figure = (name, value, recent) =>
      element('div', {}, words('dt', '', name), element('dd', {}, value, small(recent)));
    const count = name => figure(name.replace('_', ' '), number(now[name]), null);
    const total = name => figure(name.replace('_', ' '), number(now[name]), perSecond(name, now, before, passed));
    const [failed, closed] = [now.failed_dials, now.closed];
    return element('dl', {}, count('in_use'), count('idle'), count('dialing'), count('waiting'), count('hosts'),
      total('acquired'), figure('mean wait', meanWait(now), waitNow(now, before, passed)), total('timed_out'),
      figure('failed dials', number(failed), perSecond('failed_dials', now, before, passed)),
      figure('closed', number(closed), perSecond('closed', now, before, passed)));
  };

  const inUse = status => status.max === null
    ? `${status.in_use} in use` : `${status.in_use} of ${status.max} in use`;
  const used = status => {
    const counts = ['idle', 'dialing', 'pinging', 'draining', 'closing'].map(name => [status[name], name]);
    counts.unshift([status.leases === status.in_use ? 0 : status.leases, 'leases']);
    const parts = counts.filter(([n]) => n > 0).map(([n, what]) => `${number(n)} ${what}`);
    return [inUse(status), ...parts].join(', ');
  };
  const bar = status => {
    const kinds = [['in-use', status.in_use], ['idle', status.idle], ['dialing', status.dialing], ['closing', status.closing]];
    const open = kinds.reduce((sum, [, n]) => sum + n, 0);
    const whole = Math.max(status.max === null ? status.peak_in_use : status.max, open, 1);
    const hundredths = n => Math.floor(n * 10000 / whole);
    const part = (style, from, to) => element('rect', {
      class: style, x: `${hundredths(from) / 100}%`, width: `${(hundredths(to) - hundredths(from)) / 100}%`,
    });
    const parts = [part('free', 0, whole)];
    let end = 0;
    for (const [style, n] of kinds) {
      parts.push(part(style, end, end + n));
      end += n;
    }
    parts.push(part('queue', 0, Math.min(status.waiting, whole)));
    return element('svg', { 'aria-hidden': 'true' }, ...parts);
  };

  const host = (host, before, passed) => {
    const status = host.status, error = host.last_dial_error;
    const total = name => words('td', 'n', number(status[name]), small(perSecond(name, status, before, passed)));
    return element('tr', {},
      element('th', { scope: 'row' }, label(host.key), error && words('small', 'alarm', 'cannot be dialed')),
      words('td', 'use', bar(status), words('span', '', used(status))),
      words('td', status.waiting > 0 ? 'n alarm' : 'n', number(status.waiting), status.overloaded > 0 ? small('overloaded') : null),
      total('acquired'),
      words('td', 'n', meanWait(status), small(waitNow(status, before, passed))),
      total('timed_out'),
      total('failed_dials'),
      words('td', 'error', error && error.message, small(error && `${time(error.age)} ago`)));
  };
  const hosts = (pool, before, passed) => {
    if (pool.hosts.length === 0) return words('p', 'more', 'The pool knows no host yet.');
    const columns = [['host', ''], ['connections', ''], ['waiting', 'n'], ['acquired', 'n'], ['mean wait', 'n'],
      ['timed out', 'n'], ['failed dials', 'n'], ['last dial error', '']];
    const known = new Map((before ? before.hosts : []).map(host => [host.key, host.status]));
    const rows = pool.hosts.map(one => host(one, known.get(one.key), passed));
    return element('div', {}, table(columns, rows), more('p', pool.more_hosts, 'less busy hosts'));
  };

  const advice = pool => {
    const list = pool.hosts.filter(host => host.advice).map(host => sentence(host.key, host.advice.text));
    return list.length === 0 ? null : element('div', {}, words('h3', '', 'Advice'), element('ul', {}, ...list));
  };
  const holders = pool => {
    const title = words('h3', '', 'Who holds connections');
    if (pool.places.length === 0) return element('div', {}, title, words('p', 'more', 'No connection is lent.'));
    const columns = [['acquired at', ''], ['loans', 'n'], ['longest held', 'n'], ['over leak_after', 'n']];
    const rows = pool.places.map(place => element('tr', {},
      element('th', { scope: 'row' }, place.place),
      words('td', 'n', number(place.loans)),
      words('td', 'n', time(place.longest)),
      words('td', place.leaked > 0 ? 'n alarm' : 'n', number(place.leaked))));
    return element('div', {}, title, table(columns, rows), more('p', pool.more_places, 'more lines of code'));
  };
  const loans = pool => {
    const all = pool.loans.length + pool.more_loans;
    if (all === 0) return null;
    const columns = [['held', 'n'], ['host', ''], ['connection', 'n'], ['acquired at', '']];
    const rows = pool.loans.map(loan => element('tr', {}, words('td', 'n', time(loan.held)),
      words('td', '', label(loan.key)), words('td', 'n', String(loan.id)), words('td', '', loan.place)));
    const title = words('summary', '', counted(all, 'loan', 'loans, the longest held first'));
    return element('details', {}, title, table(columns, rows), more('p', pool.more_loans, 'more loans'));
  };
  const pairs = rows => words('table', 'pairs', element('tbody', {},
    ...rows.map(([name, value]) => element('tr', {}, element('th', { scope: 'row' }, name), words('td', '', value)))));
  const closes = status => {
    const counts = Object.entries(status.closes).filter(([, n]) => n > 0).map(([reason, n]) => [reason, number(n)]);
    return element('details', {}, words('summary', '', 'Connections that have left, by reason'), pairs(counts));
  };
  const settings = config => {
    const written = Object.entries(config).map(([name, value]) =>
      [name, typeof value === 'string' ? value : JSON.stringify(value)]);
    return element('details', {}, words('summary', '', 'Settings'), pairs(written));
  };

  const section = (pool, before, passed) => element('section', {},
    element('h2', {}, pool.name === null ? 'Connection pool' : pool.name, pool.closed ? small('closed') : null),
    notes(pool), figures(pool.status, before && before.status, passed), hosts(pool, before, passed), advice(pool),
    holders(pool), loans(pool), closes(pool.status), settings(pool.config));

  // Changes only what differs, so that a selection, the focus and what was opened stay.
  const morph = (old, fresh) => {
    if (old.nodeName !== fresh.nodeName) return old.replaceWith(fresh);
    if (old.nodeType === Node.TEXT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    for (const { name } of [...old.attributes]) {
      if (name !== 'open' && !fresh.hasAttribute(name)) old.removeAttribute(name);
    }
    const children = [...fresh.childNodes];
    children.forEach((child, at) => at < old.childNodes.length ? morph(old.childNodes[at], child) : old.append(child));
    while (old.childNodes.length > children.length) old.lastChild.remove();
  };

  const show = now => {
    const passed = now.taken_at - last.taken_at;
    const before = (pool, at) => last.pools.find((old, place) => old.name === pool.name && place === at);
    const fresh = element('main', {}, ...now.pools.map((pool, at) => section(pool, before(pool, at), passed)));
    morph(main, fresh);
    const waiting = now.pools.reduce((sum, pool) => sum + pool.status.waiting, 0);
    document.title = waiting > 0 ? `(${number(waiting)}) ${title}` : title;
    last = now;
  };

  // The time of a snapshot, and whether there will be another.
  const say = (said, isStale) => {
    const at = new Date(last.taken_at * 1000).toISOString().slice(0, 19).replace('T', ' ') + ' UTC';
    state.replaceChildren(isStale ? 'Not refreshed since ' : 'As of ', element('time', {}, at), `${said} `, button);
    document.body.classList.toggle('stale', isStale);
  };
  const button = element('button', { type: 'button' });
  let isPaused = false;
  const resume = () => {
    button.textContent = isPaused ? 'Resume' : 'Pause';
    say(isPaused ? ', paused' : `, every ${Math.round(pause / 1000)} s`, false);
  };
  button.addEventListener('click', () => {
    isPaused = !isPaused;
    resume();
  });

  const fetched = async () => {
    const answer = await fetch(url, { cache: 'no-store', signal: AbortSignal.timeout(LIMIT) });
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    return answer.json();
  };
  const refresh = async () => {
    if (isPaused || document.hidden) return;
    const begin = performance.now();
    try {
      show(await fetched());
      // A pool that takes long to look at is looked at less often.
      pause = Math.max(PAUSE, 10 * (performance.now() - begin));
      resume();
    } catch (error) {
      say(`: ${error.message}`, true);
    }
  };
  const run = async () => {
    await refresh();
    setTimeout(run, pause);
  };
  resume();
  setTimeout(run, pause);
})();
