# Rails (Debian package): the production log of a one-file application under Puma.
mkdir rails; cd rails
cat >config.ru <<'R'
require "action_controller/railtie"
class Shop < Rails::Application
  config.root = __dir__
  config.eager_load = false
  config.hosts.clear
  config.secret_key_base = "x" * 64
  config.log_level = :debug
  config.log_tags = [:request_id] if ENV["TAGS"]
  config.logger = Logger.new("/tmp/app/rails.log", formatter: Logger::Formatter.new) unless ENV["TAGS"]
  config.logger = ActiveSupport::TaggedLogging.new(Logger.new("/tmp/app/rails.log", formatter: Logger::Formatter.new)) if ENV["TAGS"]
  routes.append { root to: "orders#index"; get "/boom", to: "orders#boom"; post "/orders", to: "orders#create" }
end
class OrdersController < ActionController::Base
  self.allow_forgery_protection = false
  def index; logger.info("order 7 placed"); logger.warn("stock is low"); render plain: "ok"; end
  def boom; raise "no stock left"; end
  def create; redirect_to "/"; end
end
Shop.initialize!
run Shop
R
RAILS_ENV=production RACK_ENV=production puma -b tcp://127.0.0.1:8030 config.ru >../puma.log 2>&1 & p=$!; ready port 8030 || cat ../puma.log
for i in 1 2 3; do get http://127.0.0.1:8030/; get "http://127.0.0.1:8030/missing$i?x=1"; get http://127.0.0.1:8030/boom; get -d 'item=7&password=secret' http://127.0.0.1:8030/orders; done
stop $p; cp ../rails.log "$RAW/rails.log"
