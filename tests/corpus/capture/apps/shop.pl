# What an app logs in a day, through Log::Log4perl's layout of its manual.
use Log::Log4perl qw(:easy);
Log::Log4perl->easy_init({ level => $TRACE, file => "STDOUT", layout => "%d %p> %F{1}:%L %M - %m%n", utf8 => 1 });
for my $order (1 .. 12) {
    INFO("order $order placed");
    DEBUG("cache miss for key user:$order");
    WARN("stock of item $order is low: ERROR margin 2") if $order % 3 == 0;
    ERROR("payment $order declined") if $order % 4 == 0;
}
TRACE("SELECT 1");
FATAL("cannot reach broker");
die "gave up";
