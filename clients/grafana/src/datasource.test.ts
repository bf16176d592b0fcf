// The data source against a real server.

import {
  CoreApp,
  DataFrame,
  dataFrameFromJSON,
  dataFrameToJSON,
  DataQueryRequest,
  dateTime,
  FieldType,
  getFieldDisplayName,
  LoadingState,
  ScopedVars,
  toDataFrame,
} from '@grafana/data';

import { messageOf, StepdbDataSource } from './datasource';
import { prefix, proxyTo, Server, variables } from './testing/server';
import { StepdbQuery } from './types';

const server = new Server();
const second = 1764489600000; // 2025-11-30T08:00:00Z

function sourceOf(where: Server, values: Record<string, string | string[]> = {}, token?: string) {
  const settings = { url: prefix, id: 1, uid: 'test', type: 'stepdb-datasource', name: 'StepDB', jsonData: {} };
  return new StepdbDataSource(settings as never, () => proxyTo(where, token), () => variables(values));
}

function requestOf(texts: Array<string | Partial<StepdbQuery>>, more: Partial<DataQueryRequest<StepdbQuery>> = {}) {
  const targets = texts.map((text, at) => ({ refId: 'ABCDEF'[at], ...(typeof text === 'string' ? { text } : text) }));
  const range = { from: dateTime(second), to: dateTime(second + 1500), raw: { from: 'now-1h', to: 'now' } };
  return { app: CoreApp.Dashboard, requestId: 'r', interval: '1s', intervalMs: 1000, startTime: 0, timezone: 'utc', scopedVars: {} as ScopedVars, range, targets, ...more } as DataQueryRequest<StepdbQuery>;
}

async function ask(texts: Array<string | Partial<StepdbQuery>>, values = {}, more = {}): Promise<DataFrame[]> {
  const response = await sourceOf(server, values).query(requestOf(texts, more));
  expect(response.errors).toBeUndefined();
  return response.data;
}

const valuesOf = (frame: DataFrame, name: string) => frame.fields.find((field) => field.name === name)?.values;

beforeAll(async () => {
  await server.start();
  const micros = second * 1000;
  await server.ingest({
    project: 'gpt',
    run: 'a',
    attributes: { config: { lr: 3e-4 }, 'note/step/2': ['halved'], [`note/time/${micros + 250}`]: ['rack 7'] },
    rows: [
      { step: 1, time: micros, metrics: { loss: 4.5, 'val/loss': 5 } },
      { step: 2, time: micros + 1000001, metrics: { loss: 'NaN' } },
      { step: 3, time: micros + 2000000, metrics: { loss: 'Infinity' } },
      { step: 4, time: micros + 3000000, metrics: { loss: '-Infinity' } },
      { step: 5, time: micros + 4000000, metrics: { loss: -0.0000001, 'val/loss': 2 } },
      { time: micros + 123456, metrics: { temp: 60 } },
      { time: micros + 1999999, metrics: { temp: 70.5 } },
    ],
  });
  await server.ingest({ project: 'gpt', run: 'c', rows: [{ step: 1, time: micros, metrics: { loss: 1 } }] });
});

afterAll(() => server.stop());

test('points become a frame for each series, and values stay what they are', async () => {
  const [a, c, ...none] = await ask(['loss @ gpt/*']);
  expect(none).toEqual([]);
  expect(a.fields.map((field) => [field.name, field.type])).toEqual([['step', FieldType.number], ['value', FieldType.number]]);
  expect(valuesOf(a, 'step')).toEqual([1, 2, 3, 4, 5]);
  expect(valuesOf(a, 'value')).toEqual([4.5, NaN, Infinity, -Infinity, -0.0000001]);
  expect(a.fields[1].labels).toEqual({ run: 'gpt/a', metric: 'loss' });
  expect(c.refId).toBe('A');
  expect(getFieldDisplayName(a.fields[1], a, [a, c])).toBe('gpt/a · loss');
  // What Grafana itself does with frames loses nothing of it either.
  const again = dataFrameFromJSON(dataFrameToJSON(toDataFrame(a)));
  expect(valuesOf(again, 'value')).toEqual([4.5, NaN, Infinity, -Infinity, -0.0000001]);
});

test('telemetry has times to the microsecond', async () => {
  const [temp] = await ask(['temp @ "gpt/a"']);
  expect(temp.fields.map((field) => [field.name, field.type])).toEqual([['time', FieldType.time], ['value', FieldType.number]]);
  expect(valuesOf(temp, 'time')).toEqual([second + 123, second + 1999]);
  expect(temp.fields[0].nanos).toEqual([456000, 999000]);
});

test('of two kinds of series each has its own x', async () => {
  const frames = await ask(['loss, temp @ "gpt/a" | last 1']);
  expect(frames.map((frame) => frame.fields[0].name)).toEqual(['step', 'time']);
});

test('steps as times: `x time` and `stamped`', async () => {
  const [byTime] = await ask(['val/loss @ gpt/* | x time']);
  expect(valuesOf(byTime, 'time')).toEqual([second, second + 4000]);
  const [stamped] = await ask(['val/loss @ gpt/* | stamped']);
  expect(stamped.fields.map((field) => field.name)).toEqual(['step', 'time', 'value']);
  expect(stamped.fields[1].type).toBe(FieldType.time);
});

test('buckets count what is not finite, and empty ones are gaps', async () => {
  const [frame] = await ask(['loss @ "gpt/a" | buckets 8 count, nan, pinf, mean']);
  expect(frame.fields.map((field) => field.name)).toEqual(['lo', 'hi', 'count', 'nan', 'pinf', 'mean']);
  expect(valuesOf(frame, 'lo')?.[0]).toBe(1);
  expect(valuesOf(frame, 'mean')).toEqual([4.5, null, null, null, null, null, null, -0.0000001]);
  expect(valuesOf(frame, 'nan')).toEqual([0, 0, 1, 0, 0, 0, 0, 0]);
  expect(getFieldDisplayName(frame.fields[5], frame, [frame])).toBe('gpt/a · loss mean');
});

test('groups are labelled by their keys', async () => {
  const frames = await ask(['loss @ gpt/* | group by run max']);
  expect(frames.map((frame) => frame.fields[frame.fields.length - 1].labels?.run)).toEqual(['gpt/a', 'gpt/c']);
});

test('a table stays one frame, with columns of their types', async () => {
  const [runs, ...none] = await ask(['runs gpt/* | show config/lr, sys/last_write, min(loss).step']);
  expect(none).toEqual([]);
  expect(runs.fields.map((field) => field.type)).toEqual([FieldType.string, FieldType.number, FieldType.time, FieldType.number]);
  expect(valuesOf(runs, 'config/lr')).toEqual([3e-4, null]);
  const [table] = await ask([{ text: 'loss @ gpt/*', shape: 'table' }]);
  expect(table.length).toBe(6);
});

test('variables go beside the text, whatever is in them', async () => {
  const frames = await ask(['$metric @ $runs'], { metric: 'loss', runs: ['gpt/a', 'gpt/c'] });
  expect(frames.length).toBe(2);
  expect((await ask(['loss @ ${one} | last 1'], { one: 'gpt/a' })).length).toBe(1);
  const response = await sourceOf(server, { run: 'gpt/c | buckets 3' }).query(requestOf(['loss @ $run']));
  expect(response.errors?.[0].message).toContain("there is no run 'gpt/c | buckets 3'");
  // Those of a repeated panel count before those of the dashboard.
  const scoped = { run: { text: 'c', value: 'gpt/c' } };
  expect((await ask(['loss @ $run'], { run: 'gpt/none' }, { scopedVars: scoped }))[0].length).toBe(1);
});

test('a panel that is taken to Explore asks the same', async () => {
  const source = sourceOf(server, { metric: 'val/loss', runs: ['gpt/a', 'gpt/c'] });
  const [query] = source.interpolateVariablesInQueries([{ refId: 'A', text: '$metric @ $runs' }], {});
  expect(query.text).toBe('val/loss @ gpt/a, gpt/c');
  expect((await ask([query])).length).toBe(1);
});

test('what is chosen of no variable is said', async () => {
  await expect(sourceOf(server, { runs: [] }).query(requestOf(['loss @ $runs']))).rejects.toThrow('nothing is chosen for the variable $runs');
  const response = await sourceOf(server).query(requestOf(['loss @ $nobody']));
  expect(response.errors?.[0].message).toContain('parameter $nobody is not given');
});

test('the time range counts where the query asks for it', async () => {
  const [bounded] = await ask(['loss @ "gpt/a" | time $__from..$__to']);
  expect(valuesOf(bounded, 'step')).toEqual([1, 2]);
  const [all] = await ask(['loss @ "gpt/a"']);
  expect(all.length).toBe(5);
  const [chart] = await ask(['loss @ "gpt/a" | buckets $__buckets'], {}, { maxDataPoints: 3 });
  expect(chart.length).toBe(3);
});

test('one query that fails leaves the others their answers', async () => {
  const response = await sourceOf(server).query(requestOf(['loss @ gpt/c', 'lss @ gpt/c', { text: 'x @ y', hide: true }, ' ']));
  expect(response.data.map((frame) => frame.refId)).toEqual(['A']);
  expect(response.errors).toEqual([{ refId: 'B', message: expect.stringContaining("there is no metric 'lss'") }]);
});

test('notes of an answer are shown with it', async () => {
  const [frame] = await ask(['nothing/** @ gpt/c']);
  expect(frame.meta?.notices?.[0].text).toContain("matches 'nothing/**'");
});

test('notes of runs are annotations', async () => {
  const [frame] = await ask(['notes gpt/*']);
  expect(valuesOf(frame, 'text')).toEqual(['halved', 'rack 7']);
  expect(valuesOf(frame, 'time')).toEqual([null, second]);
  expect(valuesOf(frame, 'tags')).toEqual([['gpt/a'], ['gpt/a']]);
});

test('variables are filled by queries', async () => {
  const source = sourceOf(server, { project: 'gpt' });
  expect((await source.metricFindQuery('runs gpt/* | show state')).map((choice) => choice.text)).toEqual(['gpt/a', 'gpt/c']);
  expect((await source.metricFindQuery('metrics ** @ gpt/c')).length).toBeGreaterThan(0);
  expect(await source.metricFindQuery(' ')).toEqual([]);
  await expect(source.metricFindQuery('rns')).rejects.toThrow('expected');
});

test('a test of the data source tells what it may read, or what is wrong', async () => {
  expect(await sourceOf(server).testDatasource()).toEqual({
    status: 'success',
    message: 'StepDB answers; projects that this token may read: 1: gpt',
  });
  const guarded = new Server();
  const token = (name: string, ...rights: string[]) => guarded.run('token', 'create', name, ...rights, '--data', guarded.data).trim();
  const reader = token('reader', '--read', 'gpt');
  await guarded.start();
  try {
    expect((await sourceOf(guarded, {}, reader).testDatasource()).status).toBe('success');
    for (const wrong of [undefined, `${reader}x`]) {
      const told = await sourceOf(guarded, {}, wrong).testDatasource();
      expect(told).toEqual({ status: 'error', message: 'Authentication to data source failed, HTTP 400 Bad Request' });
    }
  } finally {
    await guarded.stop();
  }
  guarded.http = '127.0.0.1:1';
  expect((await sourceOf(guarded).testDatasource()).message).toContain('ECONNREFUSED');
});

test('what is wrong with a request is said in the words of who refuses it', () => {
  expect(messageOf({ status: 400, data: '{"error":{"code":"invalid_argument","message":"no"}}' })).toBe('no');
  expect(messageOf({ status: 502, statusText: 'Bad Gateway', data: '<html>' })).toBe('HTTP 502 Bad Gateway');
  expect(messageOf({ status: 403, data: { message: 'not in the list' } })).toBe('not in the list, HTTP 403');
  expect(messageOf(new Error('lost'))).toBe('lost');
});

test('frames are what a panel takes', async () => {
  const frames = await ask(['loss @ gpt/*']);
  expect({ state: LoadingState.Done, series: frames.map(toDataFrame) }.series.map((frame) => frame.length)).toEqual([5, 1]);
});
