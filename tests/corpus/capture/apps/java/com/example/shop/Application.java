package com.example.shop;

import org.slf4j.LoggerFactory;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.web.bind.annotation.*;

@SpringBootApplication
@RestController
public class Application {
    private static final org.slf4j.Logger LOG = LoggerFactory.getLogger(Application.class);
    @GetMapping("/") String ok() { LOG.info("order placed: {}", 7); LOG.debug("cache miss"); LOG.warn("stock is low"); return "ok"; }
    @GetMapping("/boom") String boom() { throw new IllegalStateException("no stock left"); }
    public static void main(String[] args) { SpringApplication.run(Application.class, args); }
}
