# Server.pm: the servers of tests, and who is found on them
#
#	my $node = server();									# a server of the test's own, as initdb makes it
#	my $node = server("autovacuum = off");					# with settings
#	my $node = server_with_extension("autovacuum = off");	# and the extension in its database postgres
#	make_http_api($node, 'postgres');						# in a database without it: the extension in the schema api, and the roles that
#															# PostgREST needs: web, who may what requests may, and authenticator, who becomes web
package Server;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use PostgreSQL::Test::Cluster;

our @EXPORT = qw(server server_with_extension make_http_api);

sub server
{
	my ($settings) = @_;
	my $node = PostgreSQL::Test::Cluster->new('main');
	$node->init;
	$node->append_conf('postgresql.conf', $settings) if defined $settings;
	$node->start;
	return $node;
}

sub server_with_extension
{
	my $node = server(@_);
	$node->safe_psql('postgres', 'CREATE EXTENSION usage_events');
	return $node;
}

sub make_http_api
{
	my ($node, $database) = @_;
	$node->safe_psql($database, q{
		CREATE SCHEMA api;
		CREATE EXTENSION usage_events SCHEMA api;
		CREATE ROLE web NOLOGIN;
		CREATE ROLE authenticator LOGIN NOINHERIT;
		GRANT web TO authenticator;
		SELECT usage_events.grant_access('web', 'http')});
	return;
}

1;
