// As Grafana's own toolkit builds a data source: one AMD module that takes React, rxjs and Grafana's
// packages from the Grafana it is loaded into.
const path = require('path');
const CopyPlugin = require('copy-webpack-plugin');
const TerserPlugin = require('terser-webpack-plugin');

const { version } = require('./package.json');

const ofGrafana = [
  'lodash', 'moment', 'react', 'react-dom', 'react/jsx-runtime', 'rxjs', '@emotion/css', '@emotion/react',
  /^@grafana\/(data|runtime|ui)/,
];

// %VERSION% and %TODAY% of plugin.json. The day is that of the sources, so that the same ones give the
// same bytes.
const day = new Date(Number(process.env.SOURCE_DATE_EPOCH ?? Date.now() / 1000) * 1000);
const fillIn = (content) =>
  content.toString().replace(/%VERSION%/g, version).replace(/%TODAY%/g, day.toISOString().slice(0, 10));

module.exports = {
  context: path.join(__dirname, 'src'),
  entry: { module: './module.ts' },
  externals: ofGrafana,
  devtool: 'source-map',
  module: {
    rules: [
      {
        test: /\.tsx?$/,
        exclude: /node_modules/,
        use: {
          loader: 'swc-loader',
          options: { jsc: { target: 'es2020', parser: { syntax: 'typescript', tsx: true } } },
        },
      },
    ],
  },
  optimization: { minimizer: [new TerserPlugin({ extractComments: false })] },
  output: {
    clean: true,
    filename: '[name].js',
    library: { type: 'amd' },
    path: path.join(__dirname, 'dist'),
    publicPath: 'public/plugins/stepdb-datasource/',
    uniqueName: 'stepdb-datasource',
  },
  plugins: [
    new CopyPlugin({
      patterns: [
        { from: 'plugin.json', transform: fillIn },
        { from: 'img', to: 'img' },
        { from: '../README.md' },
        { from: '../LICENSE', to: 'LICENSE', toType: 'file' },
      ],
    }),
  ],
  resolve: { extensions: ['.ts', '.tsx', '.js'] },
};
