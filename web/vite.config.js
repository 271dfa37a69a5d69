// vite.config.js: two pages, the application and what a customer sees; every address in them is relative
import { defineConfig } from 'vite';

export default defineConfig({
	base: './',
	esbuild: { jsx: 'automatic', jsxImportSource: 'preact' },
	build: {
		target: 'es2020',
		// A script of Vite's own in the page, and files put into addresses, would need more than the page's policy gives.
		modulePreload: { polyfill: false },
		assetsInlineLimit: 0,
		rollupOptions: {
			input: ['index.html', 'portal.html'],
		},
	},
});
