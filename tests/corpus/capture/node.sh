# Node.js: pino, winston, bunyan, log4js, morgan, fastify and console, each in one usual set-up or two.
cp /opt/apps/shop.js .; ln -s "$DEPS/node/node_modules" node_modules
for l in pino pino_iso winston winston_printf winston_simple bunyan log4js fastify console; do timeout 30 node --preserve-symlinks shop.js $l >"$RAW/$l.log" 2>&1 || true; done
mv "$RAW/console.log" "$RAW/node_console.log"; sed -i 's/\x1b\[[0-9;]*m//g' "$RAW/log4js.log"
for f in dev combined tiny; do timeout 30 node --preserve-symlinks shop.js morgan $f 2>/dev/null >"$RAW/morgan_$f.log" || true; done
