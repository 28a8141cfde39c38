// Searches, sorts and pages the table in the browser. Text is inserted as textContent only, never as markup.
(() => {
  const data = JSON.parse(document.getElementById('rows').textContent);
  const names = [
    'id',
    'codes',
    'detail',
    'name',
    'reference',
    'type',
    'bytes',
    'created',
    'archived',
    'trigger',
    'sha256',
  ];
  const rows = data.rows.map((values) => {
    const row = Object.fromEntries(names.map((name, position) => [name, values[position]]));
    row.latency =
      row.created === null || row.archived === null ? null : Math.max(0, row.archived - row.created);
    row.state = row.codes.join(' ');
    row.weight = row.codes.some((code) => data.marks[code]?.weight === 'defect')
      ? 'defect'
      : row.codes.some((code) => data.marks[code]?.weight === 'unchecked')
        ? 'unchecked'
        : 'fine';
    row.searched = [row.id, row.state, row.detail, row.name, row.reference, row.type, row.trigger, row.sha256]
      .join('\n')
      .toLowerCase();
    return row;
  });
  const perPage = 50;
  const weights = { defect: 0, unchecked: 1, fine: 2 };
  const collator = new Intl.Collator('en', { numeric: true, sensitivity: 'base' });
  const byId = (id) => document.getElementById(id);
  const table = byId('table');
  const view = { sorted: 'state', isDown: false, search: '', state: '', page: 0 };

  const element = (name, className, text) => {
    const created = document.createElement(name);
    if (className) created.className = className;
    if (text !== undefined) created.textContent = text;
    return created;
  };
  const size = (bytes) => {
    if (bytes === null) return '';
    let value = bytes;
    let unit = 0;
    const units = ['B', 'kB', 'MB', 'GB'];
    while (value >= 999.5 && unit < units.length - 1) {
      value /= 1000;
      unit += 1;
    }
    return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
  };
  const time = (instant) =>
    instant === null ? '' : new Date(instant).toISOString().slice(0, 16).replace('T', ' ');
  const exact = (instant) => (instant === null ? null : new Date(instant).toISOString());
  const duration = (ms) => {
    if (ms === null) return '';
    for (const [unitMs, unit] of [
      [86_400_000, 'd'],
      [3_600_000, 'h'],
      [60_000, 'min'],
      [1000, 's'],
    ]) {
      if (ms >= unitMs) {
        const value = ms / unitMs;
        return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${unit}`;
      }
    }
    return `${Math.round(ms)} ms`;
  };

  const compare = (a, b) => {
    const left = view.sorted === 'state' ? weights[a.weight] : a[view.sorted];
    const right = view.sorted === 'state' ? weights[b.weight] : b[view.sorted];
    // Unknown values come last in both directions.
    if (left === null || right === null) return Number(left === null) - Number(right === null);
    const order = typeof left === 'string' ? collator.compare(left, right) : left - right;
    return (view.isDown ? -order : order) || (b.archived ?? b.created ?? 0) - (a.archived ?? a.created ?? 0);
  };

  let matching = rows;
  const update = () => {
    const words = view.search.toLowerCase().split(/\s+/).filter(Boolean);
    matching = rows
      .filter((row) => view.state === '' || row.codes.includes(view.state))
      .filter((row) => words.every((word) => row.searched.includes(word)))
      .sort(compare);
    view.page = 0;
    draw();
  };

  const cell = (className, text) => element('td', className, text);
  const draw = () => {
    const pages = Math.max(1, Math.ceil(matching.length / perPage));
    const from = view.page * perPage;
    const body = element('tbody');
    for (const [position, row] of matching.slice(from, from + perPage).entries()) {
      body.append(...drawRow(row, position));
    }
    if (matching.length === 0) {
      const nothing = cell('nothing', 'No matching documents.');
      nothing.colSpan = 8;
      const line = element('tr');
      line.append(nothing);
      body.append(line);
    }
    table.tBodies[0].replaceWith(body);
    byId('shown').textContent =
      `${matching.length.toLocaleString('en')} of ${rows.length.toLocaleString('en')}`;
    byId('page').textContent = `Page ${view.page + 1} of ${pages}`;
    byId('before').disabled = view.page === 0;
    byId('after').disabled = view.page >= pages - 1;
    for (const button of table.querySelectorAll('thead button')) {
      const isSorted = button.dataset.column === view.sorted;
      button.parentElement.setAttribute(
        'aria-sort',
        isSorted ? (view.isDown ? 'descending' : 'ascending') : 'none',
      );
    }
  };

  const drawRow = (row, position) => {
    const line = element('tr', row.weight);
    const state = cell('state');
    for (const code of row.codes)
      state.append(element('span', 'code', `${data.marks[code]?.mark ?? ''} ${code}`));
    const name = element('th', 'name');
    name.scope = 'row';
    const open = element('button', 'open', row.name ?? 'unknown name');
    open.type = 'button';
    open.setAttribute('aria-expanded', 'false');
    open.setAttribute('aria-controls', `more-${position}`);
    name.append(open);
    if (row.reference !== null) name.append(element('span', 'reference', `Reference ${row.reference}`));
    name.append(element('span', 'id', row.id));
    line.append(
      state,
      name,
      cell('type', row.type ?? ''),
      cell('number', size(row.bytes)),
      cell('time', time(row.created)),
      cell('time', time(row.archived)),
      cell('number', duration(row.latency)),
      cell('', row.trigger ?? ''),
    );
    const more = element('tr', 'more');
    more.id = `more-${position}`;
    more.hidden = true;
    const details = cell('');
    details.colSpan = 8;
    const list = element('dl', 'facts');
    for (const [term, text] of [
      ['Reason', row.detail],
      ['Reference', row.reference],
      ['Uploaded', exact(row.created)],
      ['Archived', exact(row.archived)],
      ['Key', `documents/${row.id}`],
      ['SHA-256', row.sha256],
      ['Bytes', row.bytes === null ? null : row.bytes.toLocaleString('en')],
    ]) {
      if (!text) continue;
      const pair = element('div');
      pair.append(element('dt', '', term), element('dd', 'fact', text));
      list.append(pair);
    }
    details.append(list);
    more.append(details);
    open.addEventListener('click', () => {
      more.hidden = !more.hidden;
      open.setAttribute('aria-expanded', String(!more.hidden));
    });
    return [line, more];
  };

  const states = new Map();
  for (const { codes } of rows) for (const code of codes) states.set(code, (states.get(code) ?? 0) + 1);
  for (const [code, count] of [...states].sort()) {
    const option = element('option', '', `${code} (${count.toLocaleString('en')})`);
    option.value = code;
    byId('state').append(option);
  }

  byId('search').addEventListener('input', ({ target }) => {
    view.search = target.value;
    update();
  });
  byId('state').addEventListener('change', ({ target }) => {
    view.state = target.value;
    update();
  });
  for (const [id, step] of [
    ['before', -1],
    ['after', 1],
  ]) {
    byId(id).addEventListener('click', () => {
      view.page += step;
      draw();
    });
  }
  for (const button of table.querySelectorAll('thead button')) {
    button.addEventListener('click', () => {
      const { column } = button.dataset;
      view.isDown =
        view.sorted === column ? !view.isDown : column !== 'state' && column !== 'name' && column !== 'type';
      view.sorted = column;
      update();
    });
  }

  for (const hidden of document.querySelectorAll('.tools, #table, .pages')) hidden.hidden = false;
  update();
})();
