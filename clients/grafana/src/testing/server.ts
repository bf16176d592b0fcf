// A StepDB server of a test's own, and what stands for Grafana between it and the data source: the
// proxy, which follows the routes of plugin.json, and the variables of a dashboard.

import { BackendSrv, BackendSrvRequest, TemplateSrv } from '@grafana/runtime';
import { ChildProcess, execFileSync, spawn } from 'child_process';
import { mkdtempSync, rmSync } from 'fs';
import http from 'http';
import { tmpdir } from 'os';
import { join } from 'path';
import { createInterface } from 'readline';
import { from } from 'rxjs';

import plugin from '../plugin.json';

const program = process.env.STEPDB_BIN ?? 'stepdb';

export class Server {
  readonly directory = mkdtempSync(join(tmpdir(), 'stepdb-grafana-'));
  readonly data = join(this.directory, 'store');
  private process?: ChildProcess;
  address = '';
  http = '';

  async start() {
    const child = spawn(program, ['serve', '--data', this.data, '--listen', '127.0.0.1:0', '--http', '127.0.0.1:0'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.process = child;
    let said = '';
    child.stderr.on('data', (text) => (said += text));
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    for (const [word, put] of [
      ['listening on ', (where: string) => (this.address = where)],
      ['http on ', (where: string) => (this.http = where)],
    ] as const) {
      const { value } = await lines.next();
      if (!value?.startsWith(word)) {
        throw new Error(`no '${word}' of the server but '${value}': ${said}`);
      }
      put(value.slice(word.length));
    }
  }

  run(...args: string[]): string {
    return execFileSync(program, args, {
      encoding: 'utf8',
      env: { ...process.env, STEPDB_SERVER: this.address },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  async stop() {
    const child = this.process;
    if (child) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await ended;
    }
    rmSync(this.directory, { recursive: true });
  }

  async ingest(message: object, token = '') {
    const { status, body } = await send(`http://${this.http}/api/ingest`, 'POST', JSON.stringify(message), {
      Authorization: `Bearer ${token}`,
    });
    if (status !== 200) {
      throw new Error(body);
    }
  }
}

function send(url: string, method: string, body: string, headers: Record<string, string>) {
  return new Promise<{ status: number; body: string }>((resolve, reject) => {
    const request = http.request(url, { method, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (piece) => (text += piece));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

// What Grafana's proxy makes of the templates in a route. Of Go's language they use no more.
export function fillIn(template: string, token: string | undefined): string {
  const filled = template
    .replace(/\{\{ if \.SecureJsonData\.token \}\}(.*)\{\{ end \}\}/, token ? '$1' : '')
    .replace('{{ .SecureJsonData.token }}', token ?? '');
  if (filled.includes('{{')) {
    throw new Error(`a template that this stand-in does not know: ${template}`);
  }
  return filled;
}

export const prefix = '/api/datasources/proxy/uid/test';

// Stands for Grafana's proxy: what comes behind `prefix` goes to the server as it is, without the
// browser's Origin and with the headers of the route whose path it begins with; a 401 is told in the
// proxy's own words.
export function proxyTo(server: Server, token?: string): BackendSrv {
  const fetch = async (request: BackendSrvRequest) => {
    const path = request.url.slice(prefix.length + 1);
    const route = plugin.routes.find((one) => path.startsWith(one.path));
    if (!request.url.startsWith(`${prefix}/`) || !route) {
      throw new Error(`no route for ${request.url}`);
    }
    const headers: Record<string, string> = { 'Content-Type': 'application/json' };
    for (const { name, content } of route.headers) {
      headers[name] = fillIn(content, token);
    }
    const answer = await send(`http://${server.http}/${path}`, request.method ?? 'GET', JSON.stringify(request.data), headers);
    if (answer.status === 401) {
      throw { status: 400, statusText: 'Bad Request', data: 'Authentication to data source failed' };
    }
    if (answer.status !== 200) {
      throw { status: answer.status, statusText: '', data: answer.body };
    }
    return { data: answer.body, status: 200, statusText: 'OK', ok: true, headers: {}, redirected: false, type: 'default', url: '', config: request };
  };
  return { fetch: (request: BackendSrvRequest) => from(fetch(request)) } as unknown as BackendSrv;
}

// The variables of a dashboard: those of the request count before these.
export function variables(values: Record<string, string | string[]>): TemplateSrv {
  return {
    replace(target: string, scoped: Record<string, { value: unknown }> = {}, format: (value: unknown) => string) {
      return target.replace(/\$\{(\w+)\}/g, (word, name) => {
        const value = scoped[name]?.value ?? values[name];
        return value === undefined ? word : format(value);
      });
    },
  } as unknown as TemplateSrv;
}
