# private_server.sh: a throw-away PostgreSQL server with this extension installed
#
# Sourced by test/run, bench/run and examples/demo/run.  Nothing outside its own
# temporary folder is touched: the server's programs are copied into it, its
# libraries and shared files linked, and the extension is installed among them.
# (PostgreSQL finds its files relative to its program, so the copy uses the
# extension in the folder and no other.)  Several may run side by side.
#
#   server_make       make the folder $stage, with the extension installed
#   server_start      make a cluster and start it; $port, $socket, $PGUSER are set
#   server_stop       stop it
#   server_remove     stop it and remove the folder
#   as_server COMMAND run a command as the server's user: initdb refuses root

PG_CONFIG=${PG_CONFIG:-pg_config}

# Whatever the caller's environment says of servers is about another one.
unset stage $(env | sed -n 's/^\(PG[A-Z]*\)=.*/\1/p')

# PGXS cannot install below a path with a space; the name of a Unix socket has room for about 100 bytes; and the
# server's user must get there: root's own temporary folder may be closed to others.
is_temporary_place() {
	case $1 in *" "*) return 1 ;; esac
	[ ${#1} -le 60 ] && stage=$1 bindir=$1 as_server test -w "$1"
}

server_make() {
	server_user=$(id -un)
	if [ "$(id -u)" = 0 ]; then
		server_user=postgres
		id postgres >/dev/null 2>&1 || server_user=nobody
	fi
	is_temporary_place "${TMPDIR:=/tmp}" || TMPDIR=/tmp
	stage=$(mktemp -d "$TMPDIR/usage_events.XXXXXX")

	make --no-print-directory -s install DESTDIR="$stage/root" PG_CONFIG="$PG_CONFIG" >"$stage/install.log" 2>&1 ||
		{ cat "$stage/install.log" >&2; return 1; }
	grep -A 3 'warning:' "$stage/install.log" >&2 || true

	local option directory
	for option in bindir pkglibdir sharedir; do
		directory=$("$PG_CONFIG" --$option)
		mkdir -p "$stage/root$directory"
		if [ $option = bindir ]; then
			cp "$directory"/* "$stage/root$directory/"
		else
			cp -rsn "$directory"/. "$stage/root$directory/"
		fi
	done
	bindir=$stage/root$("$PG_CONFIG" --bindir)
	[ "$(id -u)" != 0 ] || chown -R "$server_user" "$stage"
}

as_server() {
	if [ "$(id -u)" = 0 ]; then
		setpriv --reuid="$server_user" --regid="$(id -g "$server_user")" --clear-groups \
			env HOME="$stage" PATH="$bindir:$PATH" "$@"
	else
		env PATH="$bindir:$PATH" "$@"
	fi
}

# Settings for the server may follow, as name=value.
server_start() {
	local setting
	socket=$stage
	port=54321
	export PGUSER=postgres PGHOST=$socket PGPORT=$port PGDATABASE=postgres
	as_server initdb -D "$stage/data" -U postgres -A trust -E UTF8 --no-locale --no-sync >"$stage/initdb.log" 2>&1 ||
		{ cat "$stage/initdb.log" >&2; return 1; }
	{
		echo "listen_addresses = ''"
		echo "unix_socket_directories = '$socket'"
		echo "port = $port"
		for setting in "$@"; do
			echo "$setting"
		done
	} | as_server tee -a "$stage/data/postgresql.conf" >/dev/null
	(cd "$stage" && as_server pg_ctl -D "$stage/data" -l "$stage/server.log" -w start) >"$stage/start.log" 2>&1 ||
		{ cat "$stage/start.log" "$stage/server.log" >&2; return 1; }
}

server_stop() {
	[ ! -f "$stage/data/postmaster.pid" ] ||
		(cd "$stage" && as_server pg_ctl -D "$stage/data" -m immediate -w stop >/dev/null 2>&1)
}

server_remove() {
	[ -n "${stage:-}" ] || return 0
	server_stop
	rm -rf "$stage"
}
