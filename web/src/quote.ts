// quote.ts: texts that anybody may have chosen, as SQL and a shell take them

// As a literal of SQL, whatever settings say of backslashes.
export function literal(text: string): string {
	return `'${text.replace(/'/g, "''")}'`.replace(/^'(.*\\.*)'$/s, (_, inside: string) => `E'${inside.replace(/\\/g, '\\\\')}'`);
}

// As one word of a shell.
export function word(text: string): string {
	return `'${text.replace(/'/g, "'\\''")}'`;
}
