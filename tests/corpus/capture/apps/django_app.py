"""One-file Django site for runserver, with a page that fails."""
import os
import sys
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpResponse
from django.urls import path

settings.configure(DEBUG=True, SECRET_KEY="x", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1"], USE_TZ=True)


def fail(request):
    return HttpResponse({}["missing"])


urlpatterns = [path("", lambda r: HttpResponse("ok")), path("boom", fail)]
os.environ["DJANGO_SETTINGS_MODULE"] = ""
execute_from_command_line(["manage.py", "runserver", "--noreload", "127.0.0.1:8002"] if len(sys.argv) == 1 else sys.argv)
