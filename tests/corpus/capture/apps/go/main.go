// What an app logs in a day, through the Go library named by the first argument.
package main

import (
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"strings"
	"time"

	charm "github.com/charmbracelet/log"
	kitlog "github.com/go-kit/log"
	kitlevel "github.com/go-kit/log/level"
	"github.com/hashicorp/go-hclog"
	"github.com/rs/zerolog"
	"github.com/sirupsen/logrus"
	"go.uber.org/zap"
	"k8s.io/klog/v2"
)

// emit logs a text with pairs of keys and values at a level.
type emit func(level, text string, pairs ...any)

func work(log emit) {
	for order := 1; order <= 12; order++ {
		log("info", fmt.Sprintf("order %d placed", order), "order", order, "total", float64(order)*9.5)
		log("debug", "cache miss", "key", fmt.Sprintf("user:%d", order), "took", 3*time.Millisecond)
		if order%3 == 0 {
			log("warn", "stock is low: ERROR margin 2", "item", order, "note", "two words")
		}
		if order%4 == 0 {
			log("error", fmt.Sprintf("payment %d declined", order), "err", errors.New(`dial tcp 10.0.0.5:9092: connect: "refused"`))
		}
	}
	log("info", `user "ann" sent é ünïcode – a=b`, "path", "/a b")
}

func bySlog(l *slog.Logger) emit {
	return func(level, text string, pairs ...any) {
		f := map[string]func(string, ...any){"debug": l.Debug, "info": l.Info, "warn": l.Warn, "error": l.Error}[level]
		f(text, pairs...)
	}
}

func fields(pairs []any) map[string]any {
	all := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		all[pairs[i].(string)] = pairs[i+1]
	}
	return all
}

func byLogrus(l *logrus.Logger) emit {
	l.SetLevel(logrus.TraceLevel)
	l.SetOutput(os.Stdout)
	return func(level, text string, pairs ...any) {
		parsed, _ := logrus.ParseLevel(level)
		l.WithFields(fields(pairs)).Log(parsed, text)
	}
}

func byZerolog(l zerolog.Logger) emit {
	return func(level, text string, pairs ...any) {
		parsed, _ := zerolog.ParseLevel(level)
		l.WithLevel(parsed).Fields(pairs).Msg(text)
	}
}

func byZap(l *zap.SugaredLogger) emit {
	return func(level, text string, pairs ...any) {
		map[string]func(string, ...any){"debug": l.Debugw, "info": l.Infow, "warn": l.Warnw, "error": l.Errorw}[level](text, pairs...)
	}
}

func main() {
	options := &slog.HandlerOptions{Level: slog.LevelDebug}
	switch os.Args[1] {
	case "log":
		log.Printf("listening on %s", ":8080")
		work(func(level, text string, pairs ...any) {
			log.Println(strings.ToUpper(level)+":", text, fmt.Sprint(pairs...))
		})
		log.SetFlags(log.LstdFlags | log.Lmicroseconds | log.Lshortfile)
		log.SetPrefix("")
		work(func(_, text string, pairs ...any) { log.Println(text) })
		var missing map[string]int
		missing["x"] = 1
	case "slog_default":
		slog.SetLogLoggerLevel(slog.LevelDebug)
		work(bySlog(slog.Default()))
	case "slog_text":
		work(bySlog(slog.New(slog.NewTextHandler(os.Stdout, options))))
	case "slog_json":
		work(bySlog(slog.New(slog.NewJSONHandler(os.Stdout, options))))
	case "zap":
		c := zap.NewProductionConfig()
		c.Level.SetLevel(zap.DebugLevel)
		l, _ := c.Build()
		work(byZap(l.Sugar()))
	case "zap_dev":
		l, _ := zap.NewDevelopment()
		work(byZap(l.Sugar()))
	case "logrus":
		work(byLogrus(logrus.New()))
	case "logrus_json":
		l := logrus.New()
		l.SetFormatter(&logrus.JSONFormatter{})
		work(byLogrus(l))
	case "zerolog":
		work(byZerolog(zerolog.New(os.Stdout).With().Timestamp().Logger()))
	case "zerolog_console":
		w := zerolog.ConsoleWriter{Out: os.Stdout, NoColor: true, TimeFormat: time.RFC3339}
		work(byZerolog(zerolog.New(w).With().Timestamp().Logger()))
	case "klog":
		work(func(level, text string, pairs ...any) {
			switch level {
			case "warn":
				klog.Warningf("%s: %v", text, pairs)
			case "error":
				klog.ErrorS(pairs[1].(error), text, "order", 4)
			case "info":
				klog.InfoS(text, pairs...)
			default:
				klog.Infof("%s %v", text, pairs)
			}
		})
		klog.Flush()
	case "hclog":
		l := hclog.New(&hclog.LoggerOptions{Name: "shop", Level: hclog.Trace, Output: os.Stdout})
		l.Named("pay").Trace("too fine")
		work(func(level, text string, pairs ...any) { l.Log(hclog.LevelFromString(level), text, pairs...) })
	case "gokit":
		l := kitlog.With(kitlog.NewLogfmtLogger(os.Stdout), "ts", kitlog.DefaultTimestampUTC, "caller", kitlog.DefaultCaller)
		work(func(level, text string, pairs ...any) {
			f := map[string]func(kitlog.Logger) kitlog.Logger{"debug": kitlevel.Debug, "info": kitlevel.Info, "warn": kitlevel.Warn, "error": kitlevel.Error}[level]
			_ = f(l).Log(append([]any{"msg", text}, pairs...)...)
		})
	case "charm":
		l := charm.NewWithOptions(os.Stdout, charm.Options{Level: charm.DebugLevel, ReportTimestamp: true, Prefix: "shop"})
		work(func(level, text string, pairs ...any) {
			parsed, _ := charm.ParseLevel(level)
			l.Log(parsed, text, pairs...)
		})
	}
}
