// As Grafana's own toolkit tests: in jsdom, since its packages want a window, through swc.
const modules = ['@grafana', 'd3(-[a-z-]+)?', 'marked', 'ol', 'react-calendar', 'react-colorful', 'rxjs', 'uuid', 'get-user-locale',
  'memoize', 'mimic-function', '@wojtekmaj', 'internmap', 'delaunator', 'robust-predicates', 'quick-lru', 'geotiff',
  'color-.*', 'rbush', 'quickselect', 'earcut', 'pbf'];

module.exports = {
  testEnvironment: 'jest-environment-jsdom',
  setupFiles: ['<rootDir>/src/testing/setup.js'],
  testMatch: ['<rootDir>/src/**/*.test.{ts,tsx}'],
  moduleNameMapper: {
    '\\.css$': '<rootDir>/src/testing/style.js',
    '^react-inlinesvg$': '<rootDir>/src/testing/icon.js',
  },
  testTimeout: 120000,
  transform: {
    '\\.(m?[tj]s|[tj]sx)$': ['@swc/jest', { jsc: { target: 'es2020', parser: { syntax: 'typescript', tsx: true } } }],
  },
  // Modules of which there is nothing but ES, which jest does not load as they are.
  transformIgnorePatterns: [`node_modules/(?!.*(${modules.join('|')})/.*)`],
};
