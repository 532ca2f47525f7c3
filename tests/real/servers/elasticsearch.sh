#!/usr/bin/env bash
# A real Elasticsearch node (7.17, without x-pack) on loopback.
#   elasticsearch.sh fetch              the jars (32 MB), once, by Maven
#   elasticsearch.sh start [PORT] [setting=value...]   PORT 0 or none: a free one.
#                                       Prints 127.0.0.1:PORT
#   elasticsearch.sh stop PORT [keep]   keep: keep the data, for a restart
#   elasticsearch.sh kill9 PORT         crash it, keep the data
#   elasticsearch.sh log PORT | rss PORT (MiB)
# The core only: _bulk, index templates, search, aliases; sends
# X-elastic-product. Not there: data streams, scripts, security, ILM, ingest
# processors.
# Environment: ELASTICSEARCH_HEAP (default 512m).
# Needs: javac and java (17 or newer), mvn for fetch, curl.
NAME=elasticsearch VERSION=${ELASTICSEARCH_VERSION:-7.17.28} PACKAGE=org.elasticsearch
LOG4J=2.17.1 HEAP=${ELASTICSEARCH_HEAP:-512m}
. "$(dirname "${BASH_SOURCE[0]}")/search_node.sh"
