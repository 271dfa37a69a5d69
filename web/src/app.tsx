// app.tsx: signs in, and shows the screen that the address names
import { render } from 'preact';
import { useCallback, useEffect, useErrorBoundary, useState } from 'preact/hooks';
import { answer, api, Refusal, useCredentials, type Credentials } from './api';
import { linkTo, usePlace, Zone, type Place } from './hooks';
import { Input, Problem } from './parts/basics';
import { Events } from './screens/events';
import { Customers } from './screens/customers';
import { Health } from './screens/health';
import { Limits } from './screens/limits';
import { Metrics } from './screens/metrics';
import { RejectedEvents } from './screens/rejected';
import { Tokens } from './screens/tokens';
import { Usage } from './screens/usage';
import { zones } from './time';
import './style.css';

const screens = {
	events: { title: 'Events', show: Events },
	usage: { title: 'Usage', show: Usage },
	customers: { title: 'Customers', show: Customers },
	metrics: { title: 'Metrics', show: Metrics },
	limits: { title: 'Limits and alerts', show: Limits },
	rejected: { title: 'Rejected', show: RejectedEvents },
	health: { title: 'Health', show: Health },
	portal: { title: 'Portal tokens', show: Tokens },
};

const KEY = 'usage_events.credentials';
const ZONE = 'usage_events.zone';

function stored(): Credentials | null {
	try {
		return JSON.parse(sessionStorage.getItem(KEY) ?? 'null') as Credentials | null;
	} catch {
		return null;
	}
}

// A client id with its secret, both in one as curl takes them, or a token, which is both in base64.
function credentialsOf(name: string, secret: string): Credentials {
	if (secret === '' && !name.includes(':')) {
		return { authorization: `Basic ${name}`, name: 'token' };
	}
	const [id, ...rest] = secret === '' ? name.split(':') : [name, secret];
	const bytes = new TextEncoder().encode(`${id}:${rest.join(':')}`);
	return { authorization: `Basic ${btoa(String.fromCharCode(...bytes))}`, name: id };
}

function SignIn({ given, why }: { given: (credentials: Credentials) => void; why: string | null }) {
	const [name, setName] = useState('');
	const [secret, setSecret] = useState('');
	const [fault, setFault] = useState<string | null>(why);
	const [busy, setBusy] = useState(false);
	const submit = async (event: Event) => {
		event.preventDefault();
		setBusy(true);
		setFault(null);
		try {
			const credentials = credentialsOf(name.trim(), secret.trim());
			useCredentials(credentials, () => undefined);
			await answer(api.GET('/usage-events', { params: { query: { limit: 1 } } }));
			given(credentials);
		} catch (error) {
			// What a key is good for, its screens say.
			if (error instanceof Refusal && error.status === 403) given(credentialsOf(name.trim(), secret.trim()));
			else setFault(error instanceof Refusal && error.status === 401 ? 'This key is not known here, or has ended.' : (error as Error).message);
		}
		setBusy(false);
	};
	return (
		<main class="sign-in">
			<form onSubmit={(event) => void submit(event)}>
				<img src="./icon.svg" alt="" width="40" height="40" />
				<h1>Usage</h1>
				<p>Sign in with an API key. It stays in this tab, and is forgotten with it.</p>
				<Input label="Client id or token" value={name} set={setName} autofocus required name="id" autocomplete="username" />
				<Input label="Client secret" value={secret} set={setSecret} type="password" name="secret" autocomplete="current-password" help="Empty with a token." />
				{fault && (
					<div class="problem" role="alert">
						{fault}
					</div>
				)}
				<button class="solid" disabled={busy || name === ''}>
					{busy ? 'Signing in …' : 'Sign in'}
				</button>
				<p class="faint">
					A key is made with <code>SELECT * FROM usage_events.create_api_key(…)</code>, and shown once.
				</p>
			</form>
		</main>
	);
}

// What fails in a screen leaves the others.
function Guarded({ screen, place }: { screen: keyof typeof screens; place: Place }) {
	const [error, reset] = useErrorBoundary();
	const Screen = screens[screen].show;
	return error ? <Problem error={error as Error} again={reset} /> : <Screen place={place} />;
}

function App() {
	const [credentials, setCredentials] = useState(stored);
	const [why, setWhy] = useState<string | null>(null);
	const [zone, setZone] = useState(sessionStorage.getItem(ZONE) ?? Intl.DateTimeFormat().resolvedOptions().timeZone);
	const place = usePlace();
	const leave = useCallback((reason: string | null) => {
		sessionStorage.removeItem(KEY);
		setWhy(reason);
		setCredentials(null);
	}, []);
	useCredentials(credentials, () => leave('The key is not good any more. Sign in again.'));
	const key = Object.keys(screens).includes(place.screen) ? (place.screen as keyof typeof screens) : 'events';
	useEffect(() => {
		document.title = credentials ? `${screens[key].title} · Usage` : 'Usage';
	}, [key, credentials]);
	if (!credentials) {
		return (
			<SignIn
				why={why}
				given={(given) => {
					sessionStorage.setItem(KEY, JSON.stringify(given));
					setWhy(null);
					setCredentials(given);
				}}
			/>
		);
	}
	return (
		<Zone.Provider value={zone}>
			<a
				class="skip"
				href="#main"
				onClick={(event) => {
					event.preventDefault();
					document.getElementById('main')?.focus();
				}}>
				Skip to the content
			</a>
			<div class="frame">
				<nav aria-label="Screens">
					<div class="brand">
						<img src="./icon.svg" alt="" width="22" height="22" />
						Usage
					</div>
					<ul>
						{Object.entries(screens).map(([name, { title }]) => (
							<li key={name}>
								<a href={linkTo([name])} aria-current={name === key ? 'page' : undefined}>
									{title}
								</a>
							</li>
						))}
					</ul>
					<div class="account">
						<span aria-hidden="true" class="label">
							Time zone
						</span>
						<select
							id="zone"
							aria-label="Time zone"
							value={zone}
							onChange={(event) => {
								sessionStorage.setItem(ZONE, event.currentTarget.value);
								setZone(event.currentTarget.value);
							}}>
							{[...new Set([zone, ...zones()])].map((name) => (
								<option key={name} value={name} selected={name === zone}>
									{name}
								</option>
							))}
						</select>
						<span class="faint key-name" title={credentials.name}>
							…{credentials.name.slice(-16)}
						</span>
						<button type="button" class="small" onClick={() => leave(null)}>
							Sign out
						</button>
					</div>
				</nav>
				<main id="main" tabIndex={-1}>
					<Guarded key={key} screen={key} place={place} />
				</main>
			</div>
		</Zone.Provider>
	);
}

render(<App />, document.getElementById('page') as HTMLElement);
