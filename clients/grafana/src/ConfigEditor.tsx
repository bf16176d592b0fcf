import { DataSourcePluginOptionsEditorProps } from '@grafana/data';
import { DataSourceHttpSettings, InlineField, SecretInput } from '@grafana/ui';
import React from 'react';

import { StepdbOptions, StepdbSecrets } from './types';

type Props = DataSourcePluginOptionsEditorProps<StepdbOptions, StepdbSecrets>;

// The address of the server's HTTP, and the token, which never leaves Grafana's server.
export function ConfigEditor({ options, onOptionsChange }: Props) {
  const setToken = (token: string, isSet: boolean) =>
    onOptionsChange({
      ...options,
      secureJsonFields: { ...options.secureJsonFields, token: isSet },
      secureJsonData: { ...options.secureJsonData, token },
    });
  return (
    <>
      <DataSourceHttpSettings
        defaultUrl="http://127.0.0.1:7421"
        dataSourceConfig={options}
        onChange={onOptionsChange}
        showAccessOptions={false}
      />
      <InlineField label="Token" labelWidth={26} tooltip="As `stepdb token create NAME --read PROJECT` prints it; leave it empty for a server without tokens">
        <SecretInput
          aria-label="Token"
          width={40}
          isConfigured={Boolean(options.secureJsonFields?.token)}
          value={options.secureJsonData?.token ?? ''}
          onChange={(event) => setToken(event.currentTarget.value, false)}
          onReset={() => setToken('', false)}
        />
      </InlineField>
    </>
  );
}
