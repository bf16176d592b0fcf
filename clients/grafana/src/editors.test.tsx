import { fireEvent, render, screen } from '@testing-library/react';
import React from 'react';

import { ConfigEditor } from './ConfigEditor';
import { QueryEditor } from './QueryEditor';

test('a query is asked when the box is left, and by Ctrl and Enter', () => {
  const onChange = jest.fn();
  const onRunQuery = jest.fn();
  render(<QueryEditor datasource={{} as never} query={{ refId: 'A', text: 'loss @ a' }} onChange={onChange} onRunQuery={onRunQuery} />);
  const box = screen.getByLabelText('Query');
  fireEvent.change(box, { target: { value: 'loss @ b' } });
  expect(onRunQuery).not.toHaveBeenCalled();
  fireEvent.blur(box);
  expect(onChange).toHaveBeenCalledWith({ refId: 'A', text: 'loss @ b' });
  expect(onRunQuery).toHaveBeenCalledTimes(1);
  fireEvent.keyDown(box, { key: 'Enter' });
  expect(onRunQuery).toHaveBeenCalledTimes(1);
  fireEvent.keyDown(box, { key: 'Enter', ctrlKey: true });
  expect(onRunQuery).toHaveBeenCalledTimes(2);
  fireEvent.click(screen.getByLabelText('Table'));
  expect(onChange).toHaveBeenLastCalledWith({ refId: 'A', text: 'loss @ b', shape: 'table' });
});

test('the token is a secret that can be set and not read', () => {
  const onOptionsChange = jest.fn();
  const options = { url: 'http://127.0.0.1:7421', jsonData: {}, secureJsonFields: {}, access: 'proxy' };
  const { rerender } = render(<ConfigEditor options={options as never} onOptionsChange={onOptionsChange} />);
  fireEvent.change(screen.getByLabelText('Token'), { target: { value: 'stepdb_x' } });
  expect(onOptionsChange.mock.lastCall[0].secureJsonData).toEqual({ token: 'stepdb_x' });
  rerender(<ConfigEditor options={{ ...options, secureJsonFields: { token: true } } as never} onOptionsChange={onOptionsChange} />);
  fireEvent.click(screen.getByText('Reset'));
  expect(onOptionsChange.mock.lastCall[0].secureJsonFields).toEqual({ token: false });
});
