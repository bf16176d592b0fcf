import { bindParameters, momentOf, writeOut } from './parameters';

const bind = (text: string, values: Record<string, string | string[]>) => bindParameters(text, (name) => values[name]);

test('words are parameters, and nothing else is', () => {
  expect(bind('a @ $r', { r: 'x' })).toEqual({ text: 'a @ $r', parameters: { r: 'x' } });
  expect(bind('a @ ${r}', { r: 'x' })).toEqual({ text: 'a @ $r', parameters: { r: 'x' } });
  expect(bind('($m), b @ r | last $n', { m: 'x', n: '2' }).parameters).toEqual({ m: 'x', n: '2' });
  expect(bind('a @ r | time $from..$to', { from: '1s', to: 'now' }).parameters).toEqual({ from: '1s', to: 'now' });
  for (const text of ['"$r" @ a', "'say $r' @ a", '~"x$r$" @ a', 'gpt/$r @ a', '~"($r)" @ a', '$r-x @ a']) {
    expect(bind(text, { r: 'x' })).toEqual({ text, parameters: {} });
  }
});

test('one with several values is a list', () => {
  expect(bind('a @ $r | last 1', { r: ['x', 'y'] })).toEqual({
    text: 'a @ $r__0, $r__1 | last 1',
    parameters: { r__0: 'x', r__1: 'y' },
  });
  expect(bind('a @ $r', { r: ['x'] })).toEqual({ text: 'a @ $r', parameters: { r: 'x' } });
});

test('what nobody knows is left to the server', () => {
  expect(bind('a @ $r', {})).toEqual({ text: 'a @ $r', parameters: {} });
});

test('moments have their unit', () => {
  expect(momentOf(1764489600000.4)).toBe('1764489600000ms');
});

test('values are written out where there are no parameters', () => {
  const values = { m: 'say "a" | b', n: '2', r: ['gpt/a', 'gpt/*'] };
  expect(writeOut(bind('$m @ $r, $none | last $n', values))).toBe('"say ""a"" | b" @ gpt/a, "gpt/*", $none | last 2');
});
