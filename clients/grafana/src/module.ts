import { DataSourcePlugin } from '@grafana/data';

import { ConfigEditor } from './ConfigEditor';
import { StepdbDataSource } from './datasource';
import { QueryEditor } from './QueryEditor';
import { StepdbOptions, StepdbQuery, StepdbSecrets } from './types';

export const plugin = new DataSourcePlugin<StepdbDataSource, StepdbQuery, StepdbOptions, StepdbSecrets>(StepdbDataSource)
  .setConfigEditor(ConfigEditor)
  .setQueryEditor(QueryEditor);
