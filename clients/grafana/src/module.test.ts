// What the build has made, loaded as Grafana loads it.

import { readFileSync } from 'fs';
import { join } from 'path';

import metadata from './plugin.json';

const dist = join(__dirname, '..', 'dist');

test('the module is a data source of Grafana', () => {
  const source = readFileSync(join(dist, 'module.js'), 'utf8');
  let loaded: { plugin?: { DataSourceClass: { name: string }; components: Record<string, unknown> } } = {};
  const define = (names: string[], make: (...modules: unknown[]) => typeof loaded) => {
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    loaded = make(...names.map((name) => require(name)));
  };
  new Function('define', source)(define);
  expect(loaded.plugin?.components.QueryEditor).toBeDefined();
  expect(loaded.plugin?.components.ConfigEditor).toBeDefined();
  expect(typeof loaded.plugin?.DataSourceClass).toBe('function');
  expect(source.length).toBeLessThan(40000); // nothing of Grafana's is in it
});

test('the metadata is filled in', () => {
  const built = JSON.parse(readFileSync(join(dist, 'plugin.json'), 'utf8'));
  expect(built.id).toBe(metadata.id);
  expect(built.info.version).toMatch(/^\d+\.\d+\.\d+$/);
  expect(built.info.updated).toMatch(/^\d{4}-\d\d-\d\d$/);
  for (const path of [built.info.logos.small, 'README.md', 'LICENSE']) {
    expect(readFileSync(join(dist, path)).length).toBeGreaterThan(0);
  }
});
