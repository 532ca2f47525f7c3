// What an app logs in a day, through spdlog's default layout.
#include <spdlog/spdlog.h>
#include <spdlog/sinks/stdout_sinks.h>
int main() {
    spdlog::set_level(spdlog::level::trace);
    auto named = spdlog::stdout_logger_mt("shop");
    for (int order = 1; order <= 12; order++) {
        named->info("order {} placed: total={}", order, order * 9.5);
        named->debug("cache miss for key user:{}", order);
        if (order % 3 == 0) named->warn("stock of item {} is low: ERROR margin 2", order);
        if (order % 4 == 0) named->error("payment {} declined [insufficient funds]", order);
    }
    named->trace("SELECT 1");
    named->critical("cannot reach broker");
}
