import { DataQuery, DataSourceJsonData } from '@grafana/data';

// What a panel asks: a query of StepDB's language, and whether its answer is drawn as it is.
export interface StepdbQuery extends DataQuery {
  text: string;
  shape?: Shape;
}

// `auto`: a frame for each series where the answer has an x, else the answer as one table.
export type Shape = 'auto' | 'table';

// What one panel may ask in all, of the 256 queries that a request may carry.
export const queriesMax = 256;

export const emptyQuery: Partial<StepdbQuery> = { text: '', shape: 'auto' };

// Address and token are Grafana's own settings of a data source; there are no others.
export type StepdbOptions = DataSourceJsonData;

export interface StepdbSecrets {
  token?: string;
}
