# usage_events: usage metering for usage-based billing, inside PostgreSQL
#
#	make demo			build, start a private server, and show what it does
#	make test			build, and run every test against private servers
#	make test-crash		a server that is killed 200 times under a million events
#	make test-load			8, 64 and 256 clients of all kinds at once, ten minutes each
#	make test-upgrade	pg_upgrade and dumps from PostgreSQL 15 to 17 and 18, in the roots that .ci/run makes
#	make test-sanitizers	every test on a server with sanitizers and assertions, built from source
#	make test-valgrind	the SQL tests under valgrind, on such a server
#	make test-sqlsmith	an hour of random SQL
#	make fuzz			an hour of coverage-guided fuzzing for each reader of what clients send
#	make test-http		the table of HTTP cases over real HTTP; needs PostgREST and nginx
#	make test-http-faults	connections ended in COMMIT, restarts, a failover, lost grants, under load; needs the same
#	make test-http-contract	docs/openapi.json, by dredd; needs npx as well
#	make test-citus		a cluster of three servers, where PostgreSQL has Citus
#	make test-bare		the README's two commands, in a Debian where nothing is installed
#	make test-outbox		an outbox with 100,000 events, and kills of either server
#	make test-image		the files of the image for Kubernetes, in PostgreSQL 18 or newer
#	make web				the page, into web/dist; needs node and npm
#	make test-web			the page in a real browser; needs Chromium as well
#	make serve-http		a private server, PostgREST and nginx, to try
#	make serve			as demo, and keep the server up
#	make, make install	as for any PGXS extension; PG_CONFIG=... picks the server; DEBUG=1 builds for gdb
#	make installcheck	regress and isolation tests against a running server
#	make deb			the Debian package for the PostgreSQL of this Debian, in dist/
#	make dist			the zip of this version for PGXN, in dist/
#	make lint			formatting, static analysis, and rules of our own
#	make bench			measure, and print tables of ratios
#	make indent			format the C

EXTENSION = usage_events
EXTVERSION = $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" usage_events.control)

MODULE_big = usage_events
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))

# The present objects by subject, in the order in which they are made.  What has been released stays as it is.
SUBJECTS = base account event outbox event_type customer metric rollup usage limit limit_lock alert retention http status distribution access
SCRIPT = sql/usage_events--$(EXTVERSION).sql
RELEASED = $(shell sed 's,^[^ ]* *,sql/,' sql/released.sha256)

DATA_built = $(SCRIPT)
DATA = $(filter-out $(SCRIPT),$(sort $(RELEASED) $(wildcard sql/usage_events--*--*.sql)))
DOCS = README.md
EXTRA_CLEAN = .built_for test/results test/regression.diffs test/regression.out src/http/openapi.inc $(OBJS:.o=.d)

# The server's headers do not pass -Wextra themselves: as system headers they need not.
PG_CPPFLAGS = -Isrc -isystem $(shell $(PG_CONFIG) --includedir-server) -DUSAGE_EVENTS_VERSION='"$(EXTVERSION)"'
PG_CFLAGS = -std=gnu99 -Wall -Wextra -MMD -MP
# A newer compiler may warn of more: that shall stop us, and nobody who builds a release.
ifeq ($(CI),true)
PG_CFLAGS += -Werror
endif
# For gdb: each line and variable as it is written.
ifneq ($(DEBUG),)
PG_CFLAGS += -O0 -g3 -fno-omit-frame-pointer
endif
# Below 16 every symbol is visible: our calls shall reach our own functions whatever else is loaded.
SHLIB_LINK = -luuid -Wl,-Bsymbolic

REGRESS = $(sort $(notdir $(basename $(wildcard test/sql/*.sql))))
# A test is looked for where the output goes first: that shall not be here, where sql/ has files of the same names.
REGRESS_OPTS = --inputdir=test --outputdir=test --load-extension=usage_events
ISOLATION = $(sort $(notdir $(basename $(wildcard test/specs/*.spec))))
ISOLATION_OPTS = --inputdir=test --load-extension=usage_events

.PHONY: demo serve serve-http web test-web test test-http test-http-faults test-http-contract test-citus test-image test-bare test-outbox test-crash test-load test-upgrade test-sanitizers test-valgrind test-sqlsmith fuzz bench lint indent deb dist FORCE

# Without a server's development files only the targets below that install them exist.
PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifneq ($(wildcard $(PGXS)),)
include $(PGXS)
endif

# Without optimization this only warns that it does nothing.
ifneq ($(DEBUG),)
override CPPFLAGS := $(filter-out -D_FORTIFY_SOURCE=%,$(CPPFLAGS))
endif

# What a file includes, it was compiled with: a touched header compiles what includes it.
-include $(OBJS:.o=.d)

$(OBJS): usage_events.control Makefile .built_for

# What was built with another DEBUG is built anew.
.built_for: FORCE
	@echo 'DEBUG=$(DEBUG)' | cmp -s - $@ || echo 'DEBUG=$(DEBUG)' >$@
FORCE:

$(OBJS:.o=.bc): %.bc: %.o

$(SCRIPT): $(SUBJECTS:%=sql/%.sql) usage_events.control Makefile
	cat $(filter %.sql,$^) >$@

# A string literal for each line.
src/http/openapi.inc: docs/openapi.json
	sed 's/[\\"]/\\&/g; s/.*/"&\\n"/' $< >$@

src/http/openapi.o src/http/openapi.bc: src/http/openapi.inc

demo:
	@examples/demo/run

serve:
	@examples/demo/run serve

test:
	@test/packages tests
	@test/run

# Status 77: PostgREST or nginx is missing, as it says.
test-http:
	@examples/postgrest/run test/http || { status=$$?; [ $$status = 77 ] && echo "skipped"; }

# The same through what stands in for PostgREST is part of make test.
test-http-faults:
	@test/packages tests
	@postgrest=$$(command -v "$${POSTGREST:-postgrest}") || { echo "postgrest is missing: skipped"; exit 0; }; \
	env POSTGREST="$$postgrest" ROUNDS=$${ROUNDS:-10} test/run tap 031_http_faults

test-http-contract:
	@examples/postgrest/run test/contract || { status=$$?; [ $$status = 77 ] && echo "skipped"; }

# Status 77: this PostgreSQL has no Citus, as it says.
test-citus:
	@test/citus || { status=$$?; [ $$status = 77 ] && echo "skipped"; }

# Status 77: this PostgreSQL is older than 18, as it says.
test-image:
	@test/packages
	@test/image || { status=$$?; [ $$status = 77 ] && echo "skipped"; }

# Status 77: not root, or something is missing, as it says.
test-bare:
	@test/bare || { status=$$?; [ $$status = 77 ] && echo "skipped"; }

# What is on its way when all has been sent may take longer than tests wait for by themselves.
test-outbox:
	@test/packages
	@env EVENTS=$${EVENTS:-100000} PG_TEST_TIMEOUT_DEFAULT=$${PG_TEST_TIMEOUT_DEFAULT:-1800} test/run tap 047_outbox

test-crash:
	@test/packages
	@env KILLS=$${KILLS:-200} EVENTS=$${EVENTS:-1000000} CLIENTS=$${CLIENTS:-8} test/run tap 018_crash_load

test-load:
	@test/packages
	@env CLIENTS="$${CLIENTS:-8 64 256}" DURATION=$${DURATION:-600} EVENTS=$${EVENTS:-1000000} test/run tap 021_load

# Status 77: not root, or a root is missing, as it says.
test-upgrade:
	@test/packages
	@test/upgrade || [ $$? = 77 ]

test-sanitizers:
	@test/packages
	@test/sanitizers

test-valgrind:
	@test/packages
	@test/valgrind

test-sqlsmith:
	@test/packages
	@test/sqlsmith

fuzz:
	@test/packages
	@test/fuzz/run

serve-http:
	@examples/postgrest/run

# Its files are in web/dist, for any web server; examples/postgrest/setup brings them to nginx.
web:
	@web/build

# Through the program PostgREST where it is there, and what stands in for it where not, as in make test.
test-web: web
	@test/packages tests
	@env POSTGREST="$$(command -v "$${POSTGREST:-postgrest}")" test/run tap 043_page

bench:
	@test/packages
	@bench/run

lint: src/http/openapi.inc $(SCRIPT)
	@test/lint

deb:
	@test/packages packaging
	@packaging/deb

dist: $(SCRIPT)
	@packaging/dist

indent:
	clang-format -i src/*.[ch] src/*/*.[ch]
