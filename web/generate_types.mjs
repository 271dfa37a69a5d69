// generate_types.mjs: writes src/schema.d.ts, the types of what the API takes and answers, from docs/openapi.json
//
// Numbers of bodies are Exact, which keeps every digit; those of queries are the page's own.
import { readFileSync, writeFileSync } from 'node:fs';
import openapiTypescript, { astToString } from 'openapi-typescript';
import typescript from 'typescript';

const document = JSON.parse(readFileSync(new URL('../docs/openapi.json', import.meta.url), 'utf8'));
const exact = typescript.factory.createTypeReferenceNode('Exact');
const nullable = typescript.factory.createUnionTypeNode([exact, typescript.factory.createLiteralTypeNode(typescript.factory.createNull())]);

const types = await openapiTypescript(document, {
	transform(schema, { path }) {
		if ((schema.type === 'number' || schema.type === 'integer') && path?.startsWith('#/components/schemas/')) {
			return schema.nullable ? nullable : exact;
		}
	},
});
writeFileSync(new URL('src/schema.d.ts', import.meta.url), `import type { Exact } from './exact';\n\n${astToString(types)}`);
