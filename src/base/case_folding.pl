#!/usr/bin/env perl
# case_folding.pl: writes base/case_folding_table.h from Unicode's CaseFolding.txt, which it reads
#
# Usage: src/base/case_folding.pl <CaseFolding.txt >src/base/case_folding_table.h
#
# The file is https://www.unicode.org/Public/17.0.0/ucd/CaseFolding.txt, and in Debian's package unicode-data.  Taken
# are the simple foldings, of one character to one: those of status C and S.  Neighbours that are as far from what they
# become share a line of the table.
use strict;
use warnings FATAL => 'all';

my ($version, @folds);
while (my $line = <STDIN>)
{
	$version //= $1 if $line =~ /^# CaseFolding-([\d.]+)\.txt/;
	push @folds, [ hex $1, hex($2) - hex $1 ] if $line =~ /^([0-9A-F]+); [CS]; ([0-9A-F]+);/;
}

my @ranges;
foreach my $fold (sort { $a->[0] <=> $b->[0] } @folds)
{
	my ($character, $distance) = @$fold;
	my $last = $ranges[-1];
	my $step = $last ? $character - $last->{last} : 0;
	if ($last && $distance == $last->{distance} && ($step == 1 || $step == 2) && ($last->{first} == $last->{last} || $step == $last->{step}))
	{
		@$last{ 'last', 'step' } = ($character, $step);
		next;
	}
	push @ranges, { first => $character, last => $character, step => 1, distance => $distance };
}

print <<"END";
/*
 * base/case_folding_table.h
 *		Characters that are another one but for their case: written by case_folding.pl
 *		from Unicode's CaseFolding.txt, version $version.
 *
 * Included by base/case_folding.c alone.
 */
#ifndef USAGE_EVENTS_CASE_FOLDING_TABLE_H
#define USAGE_EVENTS_CASE_FOLDING_TABLE_H

/* clang-format off */
static const CaseRange ranges[] = {
END
printf "\t{0x%04X, 0x%04X, %d, %d},\n", @$_{qw(first last step distance)} foreach @ranges;
print <<"END";
};
/* clang-format on */

#endif /* USAGE_EVENTS_CASE_FOLDING_TABLE_H */
END
