// The data source: what panels, variables and annotations ask, sent through Grafana's proxy, which
// adds the token, to StepDB's HTTP interface.

import {
  AnnotationSupport,
  DataQueryRequest,
  DataQueryResponse,
  DataSourceApi,
  DataSourceInstanceSettings,
  LegacyMetricFindQueryOptions,
  MetricFindValue,
  ScopedVars,
  TestDataSourceResponse,
  TimeRange,
} from '@grafana/data';
import { BackendSrv, getBackendSrv, getTemplateSrv, TemplateSrv } from '@grafana/runtime';
import { lastValueFrom } from 'rxjs';

import { Answer, AnswerError, describeError } from './answer';
import { choicesOf, framesOf } from './frames';
import { bindParameters, Bound, momentOf, writeOut } from './parameters';
import { emptyQuery, queriesMax, StepdbOptions, StepdbQuery } from './types';

interface Line extends Partial<Answer> {
  index: number;
  error?: AnswerError;
}

export class StepdbDataSource extends DataSourceApi<StepdbQuery, StepdbOptions> {
  // Notes of runs, by the query language: `notes gpt/*`.
  annotations: AnnotationSupport<StepdbQuery> = {};

  private readonly url: string;

  constructor(
    settings: DataSourceInstanceSettings<StepdbOptions>,
    private readonly backend: () => BackendSrv = getBackendSrv,
    private readonly templates: () => TemplateSrv = getTemplateSrv
  ) {
    super(settings);
    // Grafana's proxy; `api` is the route of plugin.json that adds the token.
    this.url = settings.url ?? '';
  }

  getDefaultQuery(): Partial<StepdbQuery> {
    return emptyQuery;
  }

  filterQuery(query: StepdbQuery): boolean {
    return !query.hide && (query.text ?? '').trim() !== '';
  }

  // Where a panel is taken to Explore, which has no variables: their values stand in the text.
  interpolateVariablesInQueries(queries: StepdbQuery[], scopedVars: ScopedVars): StepdbQuery[] {
    const lookup = (name: string) => this.valueOf(name, scopedVars);
    return queries.map((query) => ({ ...query, text: writeOut(bindParameters(query.text, lookup)) }));
  }

  // All of a panel's queries in one request; one that fails leaves the others their answers.
  async query(request: DataQueryRequest<StepdbQuery>): Promise<DataQueryResponse> {
    const targets = request.targets.filter((target) => this.filterQuery(target));
    if (targets.length === 0) {
      return { data: [] };
    }
    if (targets.length > queriesMax) {
      throw new Error(`a panel may ask ${queriesMax} queries, and this one has ${targets.length}`);
    }
    const bounds = targets.map((target) =>
      this.bind(target.text, request.scopedVars, request.range, request.maxDataPoints)
    );
    const lines = await this.askAll(bounds);
    const response: DataQueryResponse = { data: [], errors: [] };
    targets.forEach((target, at) => {
      const line = lines[at];
      if (line.error) {
        response.errors?.push({ refId: target.refId, message: describeError(line.error) });
      } else {
        response.data.push(...framesOf(line as Answer, { ...target, refId: target.refId }));
      }
    });
    return response.errors?.length ? response : { data: response.data };
  }

  // The choices of a variable: `runs gpt/*` for runs, `metrics ** @ gpt/*`, and so on.
  async metricFindQuery(query: string | StepdbQuery, options?: LegacyMetricFindQueryOptions): Promise<MetricFindValue[]> {
    const text = typeof query === 'string' ? query : query.text;
    if (!text?.trim()) {
      return [];
    }
    const [line] = await this.askAll([this.bind(text, options?.scopedVars, options?.range)]);
    if (line.error) {
      throw new Error(describeError(line.error));
    }
    return choicesOf(line as Answer);
  }

  async testDatasource(): Promise<TestDataSourceResponse> {
    try {
      const [line] = await this.askAll([{ text: 'projects', parameters: {} }]);
      if (line.error) {
        return { status: 'error', message: describeError(line.error) };
      }
      const names = choicesOf(line as Answer).map((choice) => choice.text);
      const which = names.length > 0 ? `: ${names.slice(0, 5).join(', ')}${names.length > 5 ? ', ...' : ''}` : '';
      return { status: 'success', message: `StepDB answers; projects that this token may read: ${names.length}${which}` };
    } catch (error) {
      return { status: 'error', message: messageOf(error) };
    }
  }

  private bind(text: string, scoped: ScopedVars = {}, range?: TimeRange, pointsMax?: number): Bound {
    const own: Record<string, string | undefined> = {
      __from: range && momentOf(range.from.valueOf()),
      __to: range && momentOf(range.to.valueOf()),
      __buckets: String(Math.max(1, Math.floor(pointsMax ?? 1000))),
    };
    return bindParameters(text, (name) => own[name] ?? this.valueOf(name, scoped));
  }

  private valueOf(name: string, scoped: ScopedVars): string | string[] | undefined {
    let value: string | string[] | undefined;
    this.templates().replace(`\${${name}}`, scoped, (found: unknown) => {
      value = Array.isArray(found) ? found.map(String) : String(found);
      return '';
    });
    return value;
  }

  // An answer, or error, for each, in their order.
  private async askAll(bounds: Bound[]): Promise<Line[]> {
    const queries = bounds.map((bound) => ({ query: bound.text, parameters: bound.parameters }));
    const response = await lastValueFrom(
      this.backend().fetch<string>({
        url: `${this.url}/api/queries`,
        method: 'POST',
        data: { queries },
        responseType: 'text',
        showErrorAlert: false,
      })
    ).catch((error) => {
      throw new Error(messageOf(error));
    });
    const lines: Line[] = [];
    for (const text of response.data.split('\n')) {
      if (text !== '') {
        const line: Line = JSON.parse(text);
        lines[line.index] = line;
      }
    }
    const missing = bounds.findIndex((_, at) => lines[at] === undefined);
    if (missing >= 0) {
      throw new Error(`the answer of StepDB ends before query ${missing + 1} of ${bounds.length} is answered`);
    }
    return lines;
  }
}

// What went wrong with a request: StepDB's own words where they came through.
export function messageOf(error: unknown): string {
  const failed = error as { data?: unknown; status?: number; statusText?: string; message?: string };
  const body = typeof failed?.data === 'string' ? parseBody(failed.data) : failed?.data;
  const said = (body as { error?: AnswerError } | undefined)?.error;
  if (said?.message) {
    return describeError(said);
  }
  const own = (body as { message?: string } | undefined)?.message;
  const status = failed?.status ? `HTTP ${failed.status}${failed.statusText ? ` ${failed.statusText}` : ''}` : '';
  return [own || failed?.message, status].filter(Boolean).join(', ') || String(error);
}

function parseBody(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not StepDB's. Grafana's proxy says a sentence, others send a page.
    return text.length < 200 && !text.includes('<') ? { message: text.trim() } : undefined;
  }
}
