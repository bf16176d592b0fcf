// The words `$name` of a query and what they stand for. A variable of a dashboard travels beside the
// text, as a parameter, and is never put into it: whatever its value is, it stays one word.

import { Shape } from './types';

export interface Bound {
  text: string;
  parameters: Record<string, string>;
}

// The value, or values, of a variable; undefined where there is none of that name.
export type Lookup = (name: string) => string | string[] | undefined;

// Texts in quotes and regexes are taken as they are; then a word `$name` or `${name}`, or one at an
// end of a range, `$from..$to`.
const piece = /"[^"]*"|'[^']*'|(?<=^|[\s,|()]|\.\.)\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})(?=$|[\s,|()]|\.\.)/g;

export function bindParameters(text: string, lookup: Lookup): Bound {
  const parameters: Record<string, string> = {};
  const bound = text.replace(piece, (word, plain?: string, braced?: string) => {
    const name = plain ?? braced;
    const value = name === undefined ? undefined : lookup(name);
    if (name === undefined || value === undefined) {
      return name === undefined ? word : `$${name}`; // the server says that it is not given
    }
    if (typeof value === 'string') {
      parameters[name] = value;
      return `$${name}`;
    }
    if (value.length === 0) {
      throw new Error(`nothing is chosen for the variable $${name}`);
    }
    if (value.length === 1) {
      parameters[name] = value[0];
      return `$${name}`;
    }
    // A list, which the language takes wherever it takes a name or a pattern.
    return value
      .map((one, index) => {
        parameters[`${name}__${index}`] = one;
        return `$${name}__${index}`;
      })
      .join(', ');
  });
  return { text: bound, parameters };
}

// The text with the values in it: a word as it is where it means the same, else a literal.
export function writeOut(bound: Bound): string {
  return bound.text.replace(piece, (word, name?: string) => {
    const value = name === undefined ? undefined : bound.parameters[name];
    if (value === undefined) {
      return word;
    }
    return /^[\w/.-]+$/.test(value) ? value : `"${value.replace(/"/g, '""')}"`;
  });
}

// What the language calls a moment: a number with its unit.
export function momentOf(milliseconds: number): string {
  return `${Math.round(milliseconds)}ms`;
}

// Queries whose answers have no x, whatever their columns are called.
export function isTable(text: string, shape: Shape | undefined): boolean {
  return shape === 'table' || /^\s*(runs|attributes|metrics|projects|stats|explain)(\s|$)/.test(text);
}

export function isNotes(text: string): boolean {
  return /^\s*notes(\s|$)/.test(text);
}
