# PgBouncer.pm: a pooler in transaction mode before a test's server
#
#	plan skip_all => 'pgbouncer is not installed' unless PgBouncer->is_installed;
#	my $pooler = PgBouncer->new($node, users => [ 'app' ], pool_size => 1);		# of each user and database
#	$pooler->{host}, $pooler->{port};											# where clients find it; it ends with the test
#	$pooler->keeps_statements;													# whether prepared statements go through it
package PgBouncer;

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

my ($program) = grep { -x } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin';
my @running;

sub is_installed { return defined $program; }

sub keeps_statements
{
	my ($major, $minor) = `$program --version` =~ /PgBouncer (\d+)\.(\d+)/ or die;
	return $major * 100 + $minor >= 121;
}

sub new
{
	my ($class, $node, %of) = @_;
	my $directory = PostgreSQL::Test::Utils::tempdir_short;
	my $self = bless { host => $directory, port => PostgreSQL::Test::Cluster::get_free_port() }, $class;
	open(my $users, '>', "$directory/users") or die $!;
	print $users qq("$_" ""\n) foreach @{ $of{users} };
	close $users;
	open(my $configuration, '>', "$directory/pgbouncer.ini") or die $!;
	print $configuration "[databases]\n* = host=@{[ $node->host ]} port=@{[ $node->port ]} pool_size=$of{pool_size}\n[pgbouncer]\n",
	  "listen_addr =\nunix_socket_dir = $directory\nlisten_port = $self->{port}\nauth_type = trust\nauth_file = $directory/users\npool_mode = transaction\n",
	  "max_client_conn = 1000\nlogfile = $directory/log\npidfile = $directory/pid\nadmin_users = $of{users}[-1]\n",
	  $self->keeps_statements ? "max_prepared_statements = 100\n" : '';
	close $configuration;
	system($program, '-q', '-d', "$directory/pgbouncer.ini") == 0 or die 'pgbouncer does not start';
	push @running, $self;
	return $self;
}

sub stop
{
	my ($self) = @_;
	kill 'INT', slurp_file("$self->{host}/pid") if -f "$self->{host}/pid";
	return;
}

my $test = $$;

END
{
	my $status = $?;
	if ($$ == $test) { $_->stop foreach @running; }
	$? = $status;
}

1;
