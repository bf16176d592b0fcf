// Answers as data frames.
//
// Points and buckets come as rows `run, metric, x..., values...`, and become a frame for each series:
// what stands before the x (run and metric, or the keys of a group) are its labels. Everything else
// is one table.

import { DataFrame, Field, FieldType, Labels, MetricFindValue, QueryResultMetaNotice } from '@grafana/data';

import { Answer, Cell, Column, numberOf } from './answer';
import { isNotes, isTable } from './parameters';
import { Shape } from './types';

const xNames = new Set(['step', 'time', 'lo', 'x']);

function typeOf(column: Column): FieldType {
  switch (column.type) {
    case 'text':
      return FieldType.string;
    case 'time':
      return FieldType.time;
    default:
      return FieldType.number;
  }
}

// Times are microseconds there and milliseconds here; what is below them goes beside them.
function timeField(name: string, cells: Cell[]): Field {
  const micros = cells.map(numberOf);
  const field: Field = {
    name,
    type: FieldType.time,
    config: {},
    values: micros.map((value) => (value === null ? null : Math.floor(value / 1000))),
  };
  const nanos = micros.map((value) => (value === null ? 0 : (((value % 1000) + 1000) % 1000) * 1000));
  if (nanos.some((value) => value !== 0)) {
    field.nanos = nanos;
  }
  return field;
}

function fieldOf(column: Column, cells: Cell[]): Field {
  const type = typeOf(column);
  if (type === FieldType.time) {
    return timeField(column.name, cells);
  }
  const values = type === FieldType.number ? cells.map(numberOf) : cells;
  return { name: column.name, type, config: {}, values };
}

function noticesOf(answer: Answer): QueryResultMetaNotice[] {
  return answer.notes.map((text) => ({ severity: 'info', text }));
}

interface Context {
  refId: string;
  text: string;
  shape?: Shape;
}

export function framesOf(answer: Answer, context: Context): DataFrame[] {
  const meta = { executedQueryString: context.text, notices: noticesOf(answer) };
  if (isNotes(context.text)) {
    return [{ ...notesFrame(answer), refId: context.refId, meta }];
  }
  const first = isTable(context.text, context.shape)
    ? -1
    : answer.columns.findIndex((column) => xNames.has(column.name));
  if (first < 0) {
    const fields = answer.columns.map((column, at) => fieldOf(column, answer.values[at]));
    return [{ refId: context.refId, meta, fields, length: answer.rows }];
  }
  const frames = seriesFrames(answer, first).map((frame) => ({ ...frame, refId: context.refId }));
  if (frames.length === 0) {
    return [{ refId: context.refId, meta, fields: [], length: 0 }];
  }
  // Grafana shows a panel's notices once for each frame that has them.
  return frames.map((frame, at) => ({
    ...frame,
    meta: { preferredVisualisationType: 'graph', ...(at === 0 ? meta : { executedQueryString: context.text }) },
  }));
}

// Rows of a series follow each other; where groups come in the order of x they do not.
function rowsBySeries(answer: Answer, keys: number): number[][] {
  const places = new Map<string, number[]>();
  for (let row = 0; row < answer.rows; ++row) {
    const key = JSON.stringify(answer.values.slice(0, keys).map((cells) => cells[row]));
    const rows = places.get(key);
    if (rows) {
      rows.push(row);
    } else {
      places.set(key, [row]);
    }
  }
  return [...places.values()];
}

function seriesFrames(answer: Answer, first: number): DataFrame[] {
  return rowsBySeries(answer, first).map((rows) => {
    const labels: Labels = {};
    for (let at = 0; at < first; ++at) {
      const cell = answer.values[at][rows[0]];
      if (cell !== null) {
        labels[answer.columns[at].name] = String(cell);
      }
    }
    const fields: Field[] = [];
    answer.columns.slice(first).forEach((column, behind) => {
      const cells = rows.map((row) => answer.values[first + behind][row]);
      const isX = behind === 0 || xNames.has(column.name);
      // Of step and time, where both kinds are selected, a series has one.
      if (isX && cells.every((cell) => cell === null)) {
        return;
      }
      const field = fieldOf(column, cells);
      fields.push(isX || field.type !== FieldType.number ? field : { ...field, labels });
    });
    nameValues(fields, labels);
    return { name: nameOf(labels), fields, length: rows.length };
  });
}

function nameOf(labels: Labels): string {
  return Object.values(labels).join(' · ');
}

// In a legend: the series, and which value if there are several.
function nameValues(fields: Field[], labels: Labels) {
  const values = fields.filter((field) => field.labels);
  for (const field of values) {
    const name = nameOf(labels);
    const suffix = values.length > 1 && name !== '' ? `${name} ${field.name}` : name || field.name;
    field.config = { displayNameFromDS: suffix };
  }
}

// As annotations want them. A note at a step has no time and is no mark on an axis of times: it is
// left out there by Grafana, and seen where notes are asked for as a table.
function notesFrame(answer: Answer): DataFrame {
  const cells = (name: string) => answer.values[answer.columns.findIndex((column) => column.name === name)];
  const times = timeField('time', cells('time'));
  return {
    fields: [
      times,
      { name: 'text', type: FieldType.string, config: {}, values: cells('note') },
      { name: 'tags', type: FieldType.other, config: {}, values: cells('run').map((run) => [String(run)]) },
      { name: 'step', type: FieldType.number, config: {}, values: cells('step').map(numberOf) },
    ],
    length: answer.rows,
  };
}

// The choices of a variable: the first column, each once; a second one is what is meant by them.
export function choicesOf(answer: Answer): MetricFindValue[] {
  const [texts = [], values = texts] = answer.values;
  const seen = new Set<string>();
  const choices: MetricFindValue[] = [];
  texts.forEach((cell, row) => {
    const text = cell === null ? '' : String(cell);
    if (text !== '' && !seen.has(text)) {
      seen.add(text);
      choices.push({ text, value: String(values[row] ?? text) });
    }
  });
  return choices;
}
