<?php
// What an app logs in a day, through Monolog's line formatter.
require "Monolog/autoload.php";
$log = new Monolog\Logger("shop");
$log->pushHandler(new Monolog\Handler\StreamHandler("php://stdout"));
for ($order = 1; $order <= 12; $order++) {
    $log->info("order $order placed", ["order" => $order, "total" => $order * 9.5]);
    $log->debug("cache miss for key user:$order");
    if ($order % 3 == 0) $log->warning("stock of item $order is low: ERROR margin 2", ["item" => $order]);
    if ($order % 4 == 0) $log->error("payment $order declined", ["exception" => new RuntimeException("insufficient funds")]);
}
$log->notice('user "ann" – é ünïcode [a] {b}');
$log->critical("cannot reach broker");
$log->alert("disk is full");
$log->emergency("giving up");
