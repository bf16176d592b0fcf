import { QueryEditorProps } from '@grafana/data';
import { InlineField, RadioButtonGroup, TextArea } from '@grafana/ui';
import React, { useState } from 'react';

import { StepdbDataSource } from './datasource';
import { Shape, StepdbOptions, StepdbQuery } from './types';

type Props = QueryEditorProps<StepdbDataSource, StepdbQuery, StepdbOptions>;

const shapes: Array<{ label: string; value: Shape; description: string }> = [
  { label: 'Series', value: 'auto', description: 'A line for each run and metric, where the answer has an x' },
  { label: 'Table', value: 'table', description: 'The answer as it is' },
];

// A box for the query language. It is asked when the box is left, or by Ctrl and Enter.
export function QueryEditor({ query, onChange, onRunQuery }: Props) {
  const [text, setText] = useState(query.text ?? '');
  const ask = () => {
    if (text !== query.text) {
      onChange({ ...query, text });
    }
    onRunQuery();
  };
  return (
    <>
      <TextArea
        aria-label="Query"
        rows={Math.min(8, Math.max(2, text.split('\n').length))}
        spellCheck={false}
        style={{ fontFamily: 'monospace' }}
        placeholder="train/loss @ gpt/* | time $__from..$__to | buckets $__buckets"
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
        onBlur={ask}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
            event.preventDefault();
            ask();
          }
        }}
      />
      <InlineField label="As">
        <RadioButtonGroup
          options={shapes}
          value={query.shape ?? 'auto'}
          onChange={(shape) => {
            onChange({ ...query, text, shape });
            onRunQuery();
          }}
        />
      </InlineField>
    </>
  );
}
