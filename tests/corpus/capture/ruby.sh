# Ruby (Debian package): Logger with its default formatter, and warn with a crash.
cat >shop.rb <<'R'
require "logger"
log = Logger.new($stdout, progname: ARGV[0])
(1..10).each do |order|
  log.info("order #{order} placed: total=#{order * 9.5}")
  log.debug { "SELECT * FROM orders WHERE id = #{order} (0.#{order}ms)" }
  log.warn("stock of item #{order} is low: ERROR margin 2") if order % 3 == 0
  log.error("payment #{order} declined") if order % 4 == 0
  begin
    [].fetch(order) if order % 5 == 0
  rescue IndexError => e
    log.error(e)
  end
end
log.unknown("of no level"); log.info(order: 7, note: "a hash"); log.info('user "ann" – é ünïcode')
log.fatal("cannot reach broker")
Integer("seven")
R
ruby shop.rb >"$RAW/ruby_logger.log" 2>&1 || true; ruby shop.rb shop >"$RAW/ruby_progname.log" 2>&1 || true
