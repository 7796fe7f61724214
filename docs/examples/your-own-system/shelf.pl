# A small key-value store over HTTP. Values are text, a file each. One node keeps them; the others, which are told its address,
# pass every request on to it.
#
#     GET /shelf/KEY                        200 with the value, or 404
#     PUT /shelf/KEY                        204; with `If-Match: OLD` 412 if the value is not OLD, with `If-None-Match: *` if
#                                           there is one
#     DELETE /shelf/KEY                     204
use strict;
use warnings;
use Fcntl ':flock';
use IO::Socket::INET;
use IO::Handle;

my ($keeper) = @ARGV;
my $folder = '/var/lib/shelf';
$SIG{CHLD} = 'IGNORE';
$SIG{TERM} = sub { exit 0 };

my $server = IO::Socket::INET->new(LocalPort => 7000, Listen => 128, ReuseAddr => 1) or die "listen: $!";
while (1) {
    my $client = $server->accept or next;
    my $child = fork;
    if (defined $child && $child == 0) {
        eval { serve($client) };
        exit 0;
    }
    close $client;
}

# A whole request or answer: its first line, its condition, its body.
sub message {
    my ($from) = @_;
    my $line = <$from> // die 'closed';
    my ($length, $match) = (0, undef);
    while (my $header = <$from> // die 'closed') {
        last if $header =~ /^\r?\n$/;
        $length = $1 if $header =~ /^content-length:\s*(\d+)/i;
        $match = "$1: $2" if $header =~ /^(if-match|if-none-match):\s*(.*?)\s*$/i;
    }
    my $body = '';
    while (length $body < $length) {
        read($from, $body, $length - length $body, length $body) or die 'closed';
    }
    return ($line, $match, $body);
}

sub reply {
    my ($to, $status, $body) = @_;
    my $length = $status == 204 ? '' : 'Content-Length: ' . length($body) . "\r\n";
    print $to "HTTP/1.1 $status OK\r\nConnection: close\r\n$length\r\n$body";
    $to->flush;
}

sub serve {
    my ($client) = @_;
    my ($line, $match, $body) = message($client);
    my ($method, $key) = $line =~ m{^(GET|PUT|DELETE) /shelf/(\w+) } or return reply($client, 400, '');
    return reply($client, $keeper ? pass_on($line, $match, $body) : keep($method, $key, $match, $body));
}

# At the keeper: one request at a time, on disk before it is answered.
sub keep {
    my ($method, $key, $match, $body) = @_;
    open my $lock, '>', "$folder/lock" or die $!;
    flock $lock, LOCK_EX or die $!;
    my $value;
    if (open my $file, '<', "$folder/$key.value") {
        local $/;
        $value = <$file>;
    }
    return defined $value ? (200, $value) : (404, '') if $method eq 'GET';
    my $old = defined $match ? $match =~ s/^if-match: //ir : '';
    return (412, '') if defined $match && ($old eq $match ? defined $value : !defined $value || $value ne $old);
    if ($method eq 'DELETE') {
        unlink "$folder/$key.value";
        return (204, '');
    }
    open my $file, '>', "$folder/$key.new" or die $!;
    print $file $body or die $!;
    $file->flush && $file->sync or die $!;
    close $file or die $!;
    rename "$folder/$key.new", "$folder/$key.value" or die $!;
    return (204, '');
}

# At the others. What could not be sent has not happened: 503. Of what was sent and not answered nobody knows: 504.
sub pass_on {
    my ($line, $match, $body) = @_;
    my $to = IO::Socket::INET->new(PeerAddr => $keeper, Timeout => 1) or return (503, 'the keeper is not there');
    my $header = defined $match ? "$match\r\n" : '';
    print $to $line, $header, 'Content-Length: ', length $body, "\r\n\r\n$body";
    $to->flush;
    my ($status, undef, $value) = eval { message($to) } or return (504, 'the keeper does not answer');
    return ((split ' ', $status)[1], $value);
}
